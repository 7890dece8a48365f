#!/usr/bin/env bash
# The units under a real systemd: socket activation, work, watchdog, stop, restart, and a user's own server.
#
#   systemd_test.sh BUILD_DIR          boots a sandbox (systemd_sandbox) and runs the second form in it
#   systemd_test.sh --inside BUILD_DIR
#
# Inside, the build is installed as an administrator would; the sandbox forgets it all.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)

if [[ $1 != --inside ]]; then
  build=$(realpath -e -- "$1")
  source=$(realpath -e -- "$here/../..") # the installation takes its units and man pages from there
  exec "$here/systemd_sandbox" --timeout 300 --share "$source" --share "$build" "$here/systemd_test.sh" --inside "$build"
fi
build=$2

# ---- vocabulary -----------------------------------------------------------------------------------------------------
failures=0
fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}
# expect WHAT WANTED GOT
expect() {
  if [[ $2 == "$3" ]]; then echo "ok: $1"; else fail "$1: expected '$2', got '$3'"; fi
}
restarted() { [[ $(property NRestarts) == "$1" ]]; }
# eventually WHAT COMMAND...: it succeeds within 60 s.
eventually() {
  local what=$1 attempt
  shift
  for ((attempt = 0; attempt < 600; ++attempt)); do
    if "$@" >/dev/null 2>&1; then
      echo "ok: $what"
      return
    fi
    sleep 0.1 # systemd tells a shell nothing that it could wait for
  done
  fail "$what: not within 60 s"
}
property() { systemctl show --value --property="$1" "${2:-parcompute.service}"; }
# as USER COMMAND...: with that user's groups and no terminal, as a batch job would run it.
as() {
  local user=$1
  shift
  setpriv --reuid="$user" --regid="$user" --init-groups --inh-caps=-all env -u XDG_RUNTIME_DIR HOME=/ "$@"
}
client() { as member parcompute-client "$@"; }
# The kernel keeps 15 bytes of a program's name; a zombie has one, too.
our_processes() { cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^parcompute-' || true; }
# Whose parent ended is systemd's to reap, in its own time.
no_process_is_left() { [[ $(our_processes) == 0 ]]; }
# The watchdog has heard of the service since it last did, at that time.
fed_since() { [[ $(property WatchdogTimestampMonotonic) != "$1" ]]; }

# ---- an administrator installs it -----------------------------------------------------------------------------------
cmake --install "$build" >/dev/null
systemd-sysusers
systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/parcompute.conf
useradd --create-home --groups parcompute-users member
useradd --create-home stranger
# A shorter watchdog, so that the test need not wait long for it; a busy machine is not to be taken for a stalled server.
mkdir -p /etc/systemd/system/parcompute.service.d
printf '[Service]\nWatchdogSec=10s\n' >/etc/systemd/system/parcompute.service.d/watchdog.conf
# More starts than an administrator would want.
printf '[Unit]\nStartLimitBurst=50\n' >/etc/systemd/system/parcompute.service.d/starts.conf
# A leak check at exit traces its process, which the unit's filter of system calls forbids.
printf '[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n' >/etc/systemd/system/parcompute.service.d/sanitizer.conf
systemctl daemon-reload
systemctl enable --now --quiet parcompute.socket
expect 'the socket listens' active "$(systemctl is-active parcompute.socket)"
expect 'nothing runs before the first client' inactive "$(systemctl is-active parcompute.service)"
expect "the socket's owner, group and mode" 'parcompute parcompute-users 660' "$(stat -c '%U %G %a' /run/parcompute/control.sock)"

# ---- the first client starts the service ----------------------------------------------------------------------------
client array create kept --shape 1000 --dtype float64 --fill arange >/dev/null || fail 'creating an array'
expect 'a member of the group computes' 499500 "$(client run reduce sum kept | sed 's/\.0*$//')"
expect 'the service is active' active "$(systemctl is-active parcompute.service)"
expect 'it runs as its own user' parcompute "$(stat -c %U "/proc/$(property MainPID)")"
expect 'it has said what it does' yes "$([[ -n $(property StatusText) ]] && echo yes)"
expect 'its watchdog is on' 10s "$(property WatchdogUSec)"
if as stranger parcompute-client --socket /run/parcompute/control.sock status >/dev/null 2>&1; then
  fail 'a user outside the group was let in'
else
  echo 'ok: a user outside the group is refused'
fi
useradd --create-home --groups parcompute-users friend
other() { as friend parcompute-client "$@"; }
if other run reduce sum kept >/dev/null 2>&1; then fail "another member reads a private array"; else echo 'ok: a private array is its owner'"'"'s alone'; fi
client array chmod group-read kept >/dev/null || fail 'letting the group read'
expect 'another member reads what the group may read' 499500 "$(other run reduce sum kept | sed 's/\.0*$//')"
if other run expr 'kept + 1' --into kept >/dev/null 2>&1; then fail 'another member wrote into it'; else echo 'ok: another member cannot write into it'; fi
if other array rm kept >/dev/null 2>&1; then fail 'another member removed it'; else echo 'ok: another member cannot remove it'; fi
for time in first second third; do
  eventually "it feeds its watchdog for the $time time" fed_since "$(property WatchdogTimestampMonotonic)"
done
expect 'it keeps its watchdog content' 0 "$(property NRestarts)"

# ---- stop, and start again ------------------------------------------------------------------------------------------
systemctl stop parcompute.service || fail 'systemctl stop'
expect 'it stopped' inactive "$(systemctl is-active parcompute.service)"
expect 'it stopped of its own accord' 'exited 0 success' \
  "$(property ExecMainCode | sed 's/^1$/exited/') $(property ExecMainStatus) $(property Result)"
eventually 'no process is left' no_process_is_left
expect 'the socket still listens' active "$(systemctl is-active parcompute.socket)"
# systemd 252 lets go of the arrays of a service that stops; later ones do, unless told to keep them.
expect 'a stop ends the arrays' '[]' "$(client array list --json | tr -d ' \n')"
client array create kept --shape 1000 --dtype float64 --fill arange --mode group-read >/dev/null || fail 'creating the array anew'

# ---- restart --------------------------------------------------------------------------------------------------------
expect 'nothing of the arrays lies in /dev/shm' 0 "$(find /dev/shm -mindepth 1 | wc -l)"
expect 'systemd keeps the catalog and the array' 2 "$(property NFileDescriptorStore)"
first=$(property MainPID)
systemctl restart parcompute.service || fail 'systemctl restart'
expect 'restarted, it is another process' yes "$([[ $(property MainPID) != "$first" ]] && echo yes)"
expect 'the array survived the restart' 499500 "$(client run reduce sum kept | sed 's/\.0*$//')"
client array create second --shape 10 --dtype float64 --fill ones >/dev/null || fail 'creating a second array'
client array rm second >/dev/null || fail 'removing the second array'
expect 'of a removed one it keeps nothing' 2 "$(property NFileDescriptorStore)"

# ---- bad luck -------------------------------------------------------------------------------------------------------
kill -KILL "$(property MainPID)"
eventually 'killed, it is started again' restarted 1
expect 'the array survived that' 499500 "$(client run reduce sum kept | sed 's/\.0*$//')"
kill -STOP "$(property MainPID)"
eventually 'stalled, the watchdog restarts it' restarted 2
expect 'and its mode' 499500 "$(other run reduce sum kept | sed 's/\.0*$//')"
expect 'the array survived that, too' 499500 "$(client run reduce sum kept | sed 's/\.0*$//')"
client array rm kept >/dev/null || fail 'removing the array'
systemctl stop parcompute.service

# ---- named segments -------------------------------------------------------------------------------------------------
echo 'PARCOMPUTE_OPTS="--backing named"' >/etc/default/parcompute
client array create kept --shape 1000 --dtype float64 --fill arange >/dev/null || fail 'creating an array in /dev/shm'
expect 'it lies in /dev/shm' 1 "$(find /dev/shm -mindepth 1 | wc -l)"
systemctl stop parcompute.service || fail 'systemctl stop'
expect 'it outlives a stop' 499500 "$(client run reduce sum kept | sed 's/\.0*$//')"
client array rm kept >/dev/null || fail 'removing the array from /dev/shm'
systemctl stop parcompute.service parcompute.socket
eventually 'no process is left at the end' no_process_is_left
expect 'nothing is left in /dev/shm' 0 "$(find /dev/shm -mindepth 1 | wc -l)"
expect 'the socket is gone' no "$([[ -e /run/parcompute/control.sock ]] && echo yes || echo no)"

# ---- a user's own server --------------------------------------------------------------------------------------------
# A user manager without logind: what user@.service would start.
uid=$(id -u stranger)
cat >/run/systemd/system/manager-of-stranger.service <<UNIT
[Service]
Type=notify
User=stranger
RuntimeDirectory=user/$uid
RuntimeDirectoryMode=0700
Environment=XDG_RUNTIME_DIR=/run/user/$uid HOME=/home/stranger
Delegate=yes
ExecStart=/lib/systemd/systemd --user
KillMode=mixed
UNIT
systemctl daemon-reload
systemctl start manager-of-stranger.service
own() { as stranger env XDG_RUNTIME_DIR="/run/user/$uid" HOME=/home/stranger "$@"; }
own systemctl --user start parcompute.socket || fail 'starting the user socket'
own parcompute-client array create mine --shape 10x10 --dtype int64 --fill ones >/dev/null || fail "creating a user's array"
expect "a user's own server computes" 100 "$(own parcompute-client run reduce sum mine)"
expect "the user's service is active" active "$(own systemctl --user is-active parcompute.service)"
expect 'it is that server that answered' "$(own systemctl --user show --value --property=MainPID parcompute.service)" \
  "$(own parcompute-client status --json | tr -d ' \n' | sed 's/.*"server_pid":\([0-9]*\).*/\1/')"
own parcompute-client array rm mine >/dev/null || fail "removing the user's array"
own systemctl --user stop parcompute.service parcompute.socket || fail "stopping the user's service"
expect "the user's service stopped of its own accord" success \
  "$(own systemctl --user show --value --property=Result parcompute.service)"
eventually 'no process of it is left' no_process_is_left

if ((failures > 0)); then
  journalctl --no-pager -o short-monotonic -u parcompute.service -u parcompute.socket -u manager-of-stranger.service | tail -n 60
  echo "$failures failures"
  exit 1
fi
echo "all well"
