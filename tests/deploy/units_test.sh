#!/usr/bin/env bash
# The units are without fault in systemd-analyze's eyes, and the system service is as shut in as it claims to be.
#
#   units_test.sh BUILD_DIR
set -euo pipefail
build=$1
source=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
command -v systemd-analyze >/dev/null || {
  echo "skipped: there is no systemd-analyze here (Debian package systemd)"
  exit 77
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work"/{system,user}
cp "$source/deploy/systemd/parcompute.socket" "$work/system"
cp "$source/deploy/systemd/user/parcompute.socket" "$work/user"
# verify looks for the programs, which are installed nowhere yet.
sed "s|^ExecStart=[^ ]*|ExecStart=/bin/true|" "$build/systemd/parcompute.service" >"$work/system/parcompute.service"
sed "s|^ExecStart=[^ ]*|ExecStart=/bin/true|" "$build/systemd/user/parcompute.service" >"$work/user/parcompute.service"

status=0
check() {
  local words
  words=$("$@" 2>&1) && [[ -z $words ]] && return
  printf '%s\n%s\n' "$*" "$words"
  status=1
}
check systemd-analyze --system --man=no verify "$work/system/parcompute.service" "$work/system/parcompute.socket"
XDG_RUNTIME_DIR=$work check systemd-analyze --user --man=no verify "$work/user/parcompute.service" \
  "$work/user/parcompute.socket"

# 15: an exposure of at most 1.5 of 10.
systemd-analyze security --offline=true --threshold=15 --no-pager "$work/system/parcompute.service" >"$work/exposure" || {
  tail -n 1 "$work/exposure"
  grep -v '✓' "$work/exposure"
  status=1
}

# These two contradict the service: the first would take every array with it, the second the clients' identities.
if grep -nE '^(RemoveIPC|PrivateUsers|RuntimeDirectory)=' "$build"/systemd/parcompute.service; then
  echo "the service must not have the lines above"
  status=1
fi

# The server and systemd must agree on how many descriptors are kept.
kept=$(sed -n 's/^FileDescriptorStoreMax=//p' "$build/systemd/parcompute.service")
told=$(sed -n 's/^Environment=FDSTORE=//p' "$build/systemd/parcompute.service")
if [[ -z $kept || $kept != "$told" ]]; then
  echo "FileDescriptorStoreMax= is '$kept', and the server is told '$told'"
  status=1
fi
exit "$status"
