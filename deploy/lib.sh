# shellcheck shell=bash
# shellcheck disable=SC2154
# Shell functions that deploy/demo and tests/run share. To be sourced by bash; expects `set -euo pipefail` and $root, the
# top of the source tree. Messages go to standard error.

say() { printf '%s\n' "$*" >&2; }
die() {
  say "${0##*/}: $*"
  exit 1
}

# wanted_packages KIND...: the lines of deploy/packages of these kinds, as "package reason".
wanted_packages() {
  local kind package reason
  while read -r kind package reason; do
    [[ -n $kind && $kind != \#* && " $* " == *" $kind "* ]] && printf '%s %s\n' "$package" "$reason"
  done <"$root/deploy/packages"
  return 0
}

is_installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# as_root COMMAND...: runs it as root. Only called where that is possible.
as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -- "$@"; fi
}

# Whether as_root has a way: root itself, sudo without a password, or sudo with a terminal to type it at.
can_be_root() {
  [[ $(id -u) == 0 ]] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; }
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@" >&2
}

# install_packages KIND...: installs what deploy/packages names for these kinds and this machine lacks. Where nothing is
# missing, nothing needs root.
install_packages() {
  local package reason missing=()
  if ! command -v dpkg-query >/dev/null; then
    say "This is not a Debian system, so no package is installed. The build needs what deploy/packages lists."
    return 0
  fi
  while read -r package reason; do
    is_installed "$package" && continue
    ((${#missing[@]})) || say "Debian packages that are missing here:"
    say "$(printf '  %-20s %s' "$package" "$reason")"
    missing+=("$package")
  done < <(wanted_packages "$@")
  ((${#missing[@]})) || return 0

  local by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  command -v apt-get >/dev/null || die "there is no apt-get here; please install: ${missing[*]}"
  can_be_root || die "installing packages needs root, and sudo cannot be used here. Please run as root: $by_hand"
  say "Installing them with apt-get$([[ $(id -u) == 0 ]] || printf ', through sudo')."
  # A fresh system has no package lists; old ones name versions that are gone.
  if [[ -n $(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -print -quit 2>/dev/null) ]] &&
    apt_get install -y --no-install-recommends "${missing[@]}"; then
    return 0
  fi
  { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } ||
    die "apt-get could not install them (its words stand above). Please run as root: $by_hand"
}

# configure PRESET [CMAKE-ARGUMENT...]: configures build/PRESET, with ccache where there is one. Its words are shown
# only if it fails.
configure() {
  local preset=$1 log
  shift
  # A build directory that came along with a copied tree belongs to the place it was made in.
  local cache=$root/build/$preset/CMakeCache.txt
  if [[ -e $cache ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    die "build/$preset was configured for another source directory; please remove it: rm -r '$root/build/$preset'"
  fi
  if command -v ccache >/dev/null; then
    set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
  log=$(cd "$root" && cmake --preset "$preset" "$@" 2>&1) || {
    say "$log"
    die "CMake could not configure build/$preset (its words stand above)"
  }
}

# build PRESET [TARGET...]: everything, or the targets.
build() {
  local preset=$1
  shift
  cmake --build "$root/build/$preset" ${1+--target "$@"} >&2 || die "the build in build/$preset failed (see above)"
}
