" For the plugin vim-lsp: the server of WNoDeS policies.
if executable('wnodes-policy')
  autocmd User lsp_setup call lsp#register_server({
    \ 'name': 'wnodes-policy',
    \ 'cmd': {_ -> ['wnodes-policy', 'lsp']},
    \ 'allowlist': ['wnodes-policy'],
    \ 'root_uri': {_ -> lsp#utils#path_to_uri(lsp#utils#find_nearest_parent_file_directory(
    \   lsp#utils#get_buffer_path(), ['site.yaml', '.git']))},
    \ })
endif
