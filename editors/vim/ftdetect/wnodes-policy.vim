autocmd BufRead,BufNewFile *.policy setfiletype wnodes-policy
