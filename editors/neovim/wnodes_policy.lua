-- The server of WNoDeS policies, for vim.lsp.enable("wnodes_policy").
return {
  cmd = { "wnodes-policy", "lsp" },
  filetypes = { "wnodes-policy" },
  root_markers = { "site.yaml", ".git" },
  -- init_options = { site = "site.yaml" },
}
