# fish completion for cairn: cairn completion fish | source
function __cairn_complete
    set -l typed (commandline -opc) (commandline -ct)
    for line in (command $typed[1] __complete -- $typed[2..-1] 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path (commandline -ct)
            case :folders
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c cairn -f -a '(__cairn_complete)'
