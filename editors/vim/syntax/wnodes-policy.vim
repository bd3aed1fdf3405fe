" Colours of WNoDeS policies.
if exists("b:current_syntax")
  finish
endif

syntax keyword policyStatement assign cap default deny downtime during group include let nodes order place policy preempt
syntax keyword policyStatement priority quota reclaim route share window
syntax keyword policyWord account after age and at below best borrow borrowing by checkpoint cores delete disk each
syntax keyword policyWord effort else even fairly fairshare flavour for gpus has image in including lend like memory
syntax keyword policyWord most native nominal not of on one only or otherwise over pack per preferred queue requeue
syntax keyword policyWord self shelve size sparing spread startswith strict suspend taking through to unless wait
syntax keyword policyWord waited weight when with
syntax match policyWord "half-life"
syntax keyword policyConstant true false unlimited any none all
syntax match policyNumber "\<[0-9][0-9.]*\(%\|[A-Za-z]\+\)\?"
syntax match policyComment "#.*$"
syntax match policyField "{[a-z]\+}" contained
syntax region policyText start=+"+ skip=+\\.+ end=+"+ oneline contains=policyField

highlight default link policyStatement Statement
highlight default link policyWord Keyword
highlight default link policyConstant Constant
highlight default link policyNumber Number
highlight default link policyComment Comment
highlight default link policyText String
highlight default link policyField Special

setlocal commentstring=#\ %s
let b:current_syntax = "wnodes-policy"
