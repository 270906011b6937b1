/-! result = x + y, one element a thread. -/

kernelArgs VectorAddArgs(N: Nat)
  global[x y result: Array Float]

device_kernel vectorAdd : KernelM VectorAddArgs Unit := do
  let args ← getArgs
  let x : GlobalArray Float := ⟨args.x⟩
  let y : GlobalArray Float := ⟨args.y⟩
  let result : GlobalArray Float := ⟨args.result⟩
  let i ← globalIdxX
  if i < args.N then
    result.set i ((← x.get i) + (← y.get i))
