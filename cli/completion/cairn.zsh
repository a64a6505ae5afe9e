#compdef cairn
# zsh completion for cairn: source <(cairn completion zsh), or as _cairn on the fpath
_cairn() {
  local line
  local -a found
  for line in ${(f)"$(${words[1]} __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
    case $line in
      :files) _files ;;
      :folders) _files -/ ;;
      *) found+=("$line") ;;
    esac
  done
  (( ${#found} )) && compadd -- "${(@)found}"
}
if [[ ${funcstack[1]} == _cairn ]]; then
  _cairn
else
  compdef _cairn cairn
fi
