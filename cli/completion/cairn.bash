# bash completion for cairn: source <(cairn completion bash)
_cairn() {
  local -a words=()
  local word glue= line cut=
  # bash breaks words at '=' and ':': put them together again.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ $word =~ ^[=:]+$ || -n $glue ]] && ((${#words[@]})); then
      words[${#words[@]} - 1]+=$word
    else
      words+=("$word")
    fi
    if [[ $word =~ ^[=:]+$ ]]; then glue=1; else glue=; fi
  done
  word=${words[${#words[@]} - 1]}
  [[ $word == *[=:]* && $COMP_WORDBREAKS == *=* ]] && cut=${word%"${word##*[=:]}"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) compopt -o default 2>/dev/null ;;
      :folders) compopt -o dirnames 2>/dev/null ;;
      *) COMPREPLY+=("${line#"$cut"}") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _cairn cairn
