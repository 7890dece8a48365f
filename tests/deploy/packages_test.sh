#!/usr/bin/env bash
# Installing packages (deploy/lib.sh), with dpkg-query, apt-get, sudo and id played by this script.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"

actor() { printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1" && chmod +x "$work/bin/$1"; }
actor dpkg-query 'for package; do :; done; grep -qx "$package" "$WORK/missing" || printf installed'
actor apt-get 'echo "$@" >>"$WORK/calls"; [ ! -e "$WORK/broken" ]'
actor sudo '[ "$1" = -n ] && shift; [ "$1" = -- ] && shift; echo "sudo $1" >>"$WORK/calls"; exec "$@"'
actor id 'cat "$WORK/uid"'

# install KIND...: what it says goes to $work/said.
install() {
  : >"$work/calls"
  WORK=$work PATH=${path:-$work/bin:$PATH} bash -c 'set -euo pipefail; root=$1; shift; source "$root/deploy/lib.sh"; install_packages "$@"' \
    demo "$root" "$@" >"$work/said" 2>&1 </dev/null
}
fail() {
  printf 'FAILED: %s\n--- said\n%s\n--- calls\n%s\n' "$1" "$(cat "$work/said")" "$(cat "$work/calls")"
  exit 1
}

echo 1000 >"$work/uid"
: >"$work/missing"
install build run test || fail 'nothing is missing: that is success'
[[ ! -s $work/calls && ! -s $work/said ]] || fail 'nothing is missing: nothing is called, nothing is said'

printf 'libpng-dev\ncmake\nlibgtest-dev\n' >"$work/missing"
install build run || fail 'with sudo, it installs'
grep -q 'sudo env' "$work/calls" || fail 'not root: it asks sudo'
grep -Eq 'install -y --no-install-recommends cmake libpng-dev$' "$work/calls" || fail 'it installs what is missing, and only of its kinds'
grep -Eq '^ +libpng-dev +pictures$' "$work/said" || fail 'it says what each package is for'

: >"$work/broken"
! install build || fail 'apt-get fails: so does it'
grep -q 'Please run as root: apt-get update && apt-get install --no-install-recommends cmake libpng-dev' "$work/said" ||
  fail 'apt-get fails: the line to type is shown'
grep -q ' update$' "$work/calls" || fail 'apt-get fails: the lists are brought up to date, and it tries again'
rm "$work/broken"

# A machine without sudo: these programs and no others.
mkdir "$work/small"
for program in bash env find grep cat; do ln -s "$(command -v "$program")" "$work/small/$program"; done
for program in dpkg-query apt-get id; do ln -s "$work/bin/$program" "$work/small/$program"; done
path=$work/small
! install build || fail 'no root, no sudo: it gives up'
grep -q 'needs root, and sudo cannot be used here. Please run as root: apt-get update && ' "$work/said" ||
  fail 'no root, no sudo: the line to type is shown'
[[ ! -s $work/calls ]] || fail 'no root, no sudo: nothing is tried'
echo 0 >"$work/uid"
install build || fail 'root needs no sudo'
! grep -q sudo "$work/calls" || fail 'root needs no sudo'

# The list itself: three columns, no package twice.
! awk '!/^#/ && NF && NF < 3' "$root/deploy/packages" | grep . || fail 'a package without a reason'
[[ -z $(awk '!/^#/ && NF { print $2 }' "$root/deploy/packages" | sort | uniq -d) ]] || fail 'a package is listed twice'
echo 'all well'
