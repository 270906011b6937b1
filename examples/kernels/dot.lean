/-! The sum of x y, in double, added to one number by all blocks. -/

kernelArgs DotArgs(N: Nat)
  global[x y sum: Array Float64]

device_kernel dot : KernelM DotArgs Unit := do
  let args ← getArgs
  let x : GlobalArray Float64 := ⟨args.x⟩
  let y : GlobalArray Float64 := ⟨args.y⟩
  let sum : GlobalArray Float64 := ⟨args.sum⟩
  let i ← globalIdxX
  let mut own : Float64 := 0.0
  for k in [i:args.N:blockDim.x * gridDim.x] do
    own := own + (← x.get k) * (← y.get k)
  sum.atomicAdd 0 own
