#!/usr/bin/env bash
# Unpacks the SLURM of another Debian, with all libraries that it needs, into build/slurm-SUITE, for tests beside the SLURM of
# this machine; its programs are in bin/ there. Nothing is installed, and root is not needed. On Debian, after `apt-get update`;
# downloads 30 MB from the mirror that apt is set up for. Versions: bullseye 20.11, trixie 24.11, sid the newest.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1 folder=$PWD/build/slurm-$1
[ ! -e "$folder/complete" ] || exit 0
rm -rf "$folder"
mkdir -p "$folder"/{lists,archives}/partial "$folder"/{root,bin}

# shellcheck disable=SC2016  # these are words of apt's, not variables of ours
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 'Component: main' 'Identifier: Packages' | sed 1q)
[ -n "$mirror" ] || { echo "$0: apt knows no mirror of Debian; run apt-get update first" >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$folder/sources.list"

# To this apt, nothing is installed yet: so it downloads all that the programs need.
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State="$folder" \
    -o Dir::State::Lists="$folder/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$folder" \
    -o Dir::Cache::Archives="$folder/archives" -o APT::Sandbox::User= -o Acquire::Retries=3 "$@"
}
apt update
apt --yes --no-install-recommends --download-only install slurmctld slurmd slurm-client patchelf
printf '%s\0' "$folder"/archives/*.deb | xargs -0 -P 2 -I {} dpkg --extract {} "$folder/root"
rm -r "$folder/archives" "$folder/lists"

# The programs are to be loaded by their own loader, and they and their plugins to find their own libraries.
plugins=$(echo "$folder"/root/usr/lib/*/slurm-wlm)
architecture=$(basename "${plugins%/*}")
libraries=$folder/root/usr/lib/$architecture:$folder/root/lib/$architecture
loader=$(find "$folder/root" -path "*/lib/$architecture/ld-linux-*" | sed 1q)
patchelf() { "$loader" --library-path "$libraries" "$folder/root/usr/bin/patchelf" "$@"; }
patchelf --remove-rpath "$plugins"/*.so
for program in "$folder"/root/usr/{bin,sbin}/{sbatch,scancel,scontrol,sinfo,squeue,srun,slurm*-wlm}; do
  [ -f "$program" ] || continue
  patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$plugins:$libraries" "$program"
  ln -s "$program" "$folder/bin/$(basename "$program" -wlm)"
done
ln -s "$plugins" "$folder/plugins"
SLURM_CONF=/dev/null "$folder/bin/slurmd" -V
touch "$folder/complete"
