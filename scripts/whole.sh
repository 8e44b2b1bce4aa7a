#!/bin/sh
# Puts the program with libtorch behind the one without, so that polder is one file (src/commands/with_torch.rs).
#
#   scripts/whole.sh target/release        polder and polder-torch, as cargo left them there
#
# Safe to repeat: cargo's own copy of polder lies in deps/, and is left as it is.
set -eu

folder=${1:?the folder with polder and polder-torch}
new="$folder/.polder.whole"
length=$(stat -c %s "$folder/polder-torch")
# What an earlier run put behind it is cut off again.
own=$(stat -c %s "$folder/polder")
case "$(tail -c 13 "$folder/polder" | tr -d '\0')" in
" polder-torch")
  inner=$(tail -c 33 "$folder/polder" | head -c 20 | sed 's/^0*//')
  own=$((own - inner - 33))
  ;;
esac
{
  head -c "$own" "$folder/polder"
  cat "$folder/polder-torch"
  printf '%020d polder-torch' "$length"
} >"$new"
chmod 755 "$new"
# cargo's polder is the same file as one in deps/: a new one takes its name.
mv "$new" "$folder/polder"
