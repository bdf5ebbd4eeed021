#!/bin/sh
# Gets QEMU's Python client from Debian's source package of QEMU into FOLDER, as any user, and prints
# what GODWIT_QEMU_PYTHON is to name. It touches nothing outside FOLDER.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
echo "deb-src [signed-by=$keys] http://deb.debian.org/debian trixie main" >"$folder/sources.list"
cat >"$folder/apt.conf" <<END
Dir::Etc::SourceList "$folder/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$folder/lists";
Dir::Cache "$folder";
END
export APT_CONFIG="$folder/apt.conf"
cd "$folder"
apt-get -qq update >&2
apt-get -qq source --download-only qemu >&2
tar -xJf qemu_*.orig.tar.xz --wildcards --strip-components=1 '*/python/qemu'
echo "$folder/python"
