/-! How often each byte comes: counted in shared memory, then added to the counts of all blocks. -/

kernelArgs HistogramArgs(N: Nat)
  global[bytes: Array UInt8] global[counts: Array Int]
  shared[own: Vector Int 256]

device_kernel histogram : KernelM HistogramArgs Unit := do
  let args ← getArgs
  let bytes : GlobalArray UInt8 := ⟨args.bytes⟩
  let counts : GlobalArray Int := ⟨args.counts⟩
  let own : SharedArray Int := ⟨args.own⟩
  let t ← threadIdxX
  let threads ← blockDimX
  for k in [t:256:threads] do
    own.set k 0
  barrier
  let i ← globalIdxX
  let all := threads * gridDim.x
  for k in [i:args.N:all] do
    let byte ← bytes.get k
    own.atomicAdd byte.toNat 1
  barrier
  for k in [t:256:threads] do
    counts.atomicAdd k (← own.get k)
