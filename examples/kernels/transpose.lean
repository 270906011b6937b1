/-! output = inputᵀ of an H by W matrix, by tiles of shared memory so that rows are read and written as rows. -/

kernelArgs TransposeArgs(H: Nat, W: Nat)
  global[input output: Array Float]
  shared[tile: Vector Float (16 * 17)]

device_kernel transpose : KernelM TransposeArgs Unit := do
  let args ← getArgs
  let input : GlobalArray Float := ⟨args.input⟩
  let output : GlobalArray Float := ⟨args.output⟩
  let tile : SharedArray Float := ⟨args.tile⟩
  let x ← threadIdxX
  let y ← threadIdxY
  let col ← globalIdxX
  let row ← globalIdxY
  if row < args.H && col < args.W then
    tile.set (y * 17 + x) (← input.get (row * args.W + col))
  barrier
  let toCol := blockIdx.y * 16 + x
  let toRow := blockIdx.x * 16 + y
  if toRow < args.W && toCol < args.H then
    output.set (toRow * args.H + toCol) (← tile.get (x * 17 + y))
