# Runs a server that must not outlive its owner.
#
# usage: sh -c <this> watchdog SIGNAL GRACE FOLDER PROGRAM [ARGUMENT...]
#   stdin   a pipe held by the owner and by nobody else; its end, however the owner ended, ends the server. The owner
#           may write a number of seconds first, which takes the place of GRACE.
#   stdout  one line: the server's pid.
#   stderr  the log, for the server's output too. It is locked, so nothing that may outlive the server keeps it open.
# SIGNAL asks the server to end, KILL follows after GRACE seconds. When FOLDER is not empty it is removed after both
# the server and the owner are gone. The exit status is the server's.
#
# A shell starts background commands with INT and QUIT ignored: SIGNAL may be INT only for servers that set a handler
# of their own, as Postgres and anvil do.
signal=$1 grace=$2 folder=$3
shift 3
exec 3<&0 4>&1 </dev/null >&2

"$@" 3<&- 4>&- &
server=$!
echo "$server" >&4
exec 4>&-

(
    while read -r seconds; do grace=$seconds; done <&3
    kill -s "$signal" "$server" 2>/dev/null
    while [ "$grace" -gt 0 ] && kill -0 "$server" 2>/dev/null; do
        sleep 1 2>/dev/null
        grace=$((grace - 1))
    done
    kill -s KILL "$server" 2>/dev/null
) &
guard=$!

# The guard must not reach for the pid after `wait` has given it back to the system, so it ends first thing.
wait "$server"
status=$?
kill "$guard" 2>/dev/null
if [ -n "$folder" ]; then
    (
        while read -r _; do :; done <&3
        rm -rf -- "$folder"
    ) 2>/dev/null &
fi
exit "$status"
