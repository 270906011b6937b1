#!/bin/sh
# Trains a compiled program by iree-run-module alone, without Python: init, then steps on the batch in x.npy and y.npy.
#
#     sh train.sh FILE.vmfb [STEPS [RATE [DEVICE]]]
#
# The manifest FILE.vmfb.json says what each function takes and gives: the state comes first and goes back in as it is.
set -eu
artefact=$1 steps=${2:-3} rate=${3:-0.05} device=${4:-local-sync}
held=$(sed -n '/"init"/,/"train_step"/p' "$artefact.json" | sed '1,/"results"/d' | grep -c '"name"')
scratch=$(sed -n '/"train_step"/,/"eval_step"/s/.*"scratch_bytes": *\([0-9]*\).*/\1/p' "$artefact.json") # of a large step
state() { # the options that write the state into one file, tensor after tensor
    printf ' --output=@%s' "$1"
    n=1
    while [ $n -lt "$held" ]; do
        printf ' --output=+%s' "$1"
        n=$((n + 1))
    done
}
call() { iree-run-module --module="$artefact" --device="$device" --function="$@"; }

call init --input='2xi32=0 7' $(state state.npy) # the seed 7, high word first
for step in $(seq "$steps"); do
    call train_step "--input=*state.npy" --input=@x.npy --input=@y.npy --input="f32=$rate" \
        ${scratch:+"--input=&${scratch}xi8"} \
        $(state next.npy) --output=- --output=- --output=- --output=- # loss, correct, grad_norm, param_norm
    mv next.npy state.npy
done
