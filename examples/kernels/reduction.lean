/-! The sum of each block's part of x, halved in shared memory until one number is left. -/

kernelArgs ReductionArgs(N: Nat)
  global[x sums: Array Float]
  shared[part: Array Float]

device_kernel reduction : KernelM ReductionArgs Unit := do
  let args ← getArgs
  let x : GlobalArray Float := ⟨args.x⟩
  let sums : GlobalArray Float := ⟨args.sums⟩
  let part : SharedArray Float := ⟨args.part⟩
  let i ← globalIdxX
  let t ← threadIdxX
  let mut half ← blockDimX
  if i < args.N then
    part.set t (← x.get i)
  else
    part.set t 0.0
  while half > 1 do
    half := half / 2
    barrier
    if t < half then
      let a ← part.get t
      let b ← part.get (t + half)
      part.set t (a + b)
  if t == 0 then
    let total ← part.get 0
    let b ← blockIdxX
    sums.set b total
