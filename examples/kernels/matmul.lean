/-! C = A B, by tiles of 16 by 16 that a block's threads bring into shared memory together. -/

kernelArgs MatMulArgs(M: Nat, K: Nat, N: Nat)
  global[A B C: Array Float]
  shared[a b: Vector Float (16 * 16)]

device_kernel matMulTiled : KernelM MatMulArgs Unit := do
  let args ← getArgs
  let A : GlobalArray Float := ⟨args.A⟩
  let B : GlobalArray Float := ⟨args.B⟩
  let C : GlobalArray Float := ⟨args.C⟩
  let a : SharedArray Float := ⟨args.a⟩
  let b : SharedArray Float := ⟨args.b⟩
  let x ← threadIdxX
  let y ← threadIdxY
  let col ← globalIdxX
  let row ← globalIdxY
  let tiles := (args.K + 15) / 16
  let mut acc := 0.0
  for tile in [0:tiles] do
    let left := tile * 16 + x
    let down := tile * 16 + y
    if row < args.M && left < args.K then
      a.set (y * 16 + x) (← A.get (row * args.K + left))
    else
      a.set (y * 16 + x) 0.0
    if down < args.K && col < args.N then
      b.set (y * 16 + x) (← B.get (down * args.N + col))
    else
      b.set (y * 16 + x) 0.0
    barrier
    for k in [0:16] do
      let u ← a.get (y * 16 + k)
      let v ← b.get (k * 16 + x)
      acc := acc + u * v
    barrier
  if row < args.M && col < args.N then
    C.set (row * args.N + col) acc
