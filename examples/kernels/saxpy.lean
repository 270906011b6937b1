/-! result = alpha x + y, one element a thread. -/

kernelArgs SaxpyArgs(N: Nat, alpha: Float)
  global[x y result: Array Float]

device_kernel saxpy : KernelM SaxpyArgs Unit := do
  let args ← getArgs
  let i ← globalIdxX
  if i < args.N then do
    let x : GlobalArray Float := ⟨args.x⟩
    let y : GlobalArray Float := ⟨args.y⟩
    let result : GlobalArray Float := ⟨args.result⟩
    let xi ← x.get i
    let yi ← y.get i
    result.set i (args.alpha * xi + yi)
