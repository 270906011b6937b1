/-! The mean of an element and its two neighbours; at the ends the element stands for the neighbour that is not there. -/

kernelArgs StencilArgs(N: Nat)
  global[input output: Array Float64]
  shared[tile: Vector Float64 258]

device_kernel stencil : KernelM StencilArgs Unit := do
  let args ← getArgs
  let input : GlobalArray Float64 := ⟨args.input⟩
  let output : GlobalArray Float64 := ⟨args.output⟩
  let tile : SharedArray Float64 := ⟨args.tile⟩
  let i ← globalIdxX
  let t ← threadIdxX
  let last := args.N - 1
  tile.set (t + 1) (← input.get (min i last))
  if t == 0 then
    tile.set 0 (← input.get (min (max (i - 1) 0) last))
  if t + 1 == blockDim.x then
    tile.set (t + 2) (← input.get (min (i + 1) last))
  barrier
  if i < args.N then
    let left ← tile.get t
    let here ← tile.get (t + 1)
    let right ← tile.get (t + 2)
    output.set i ((left + here + right) / 3.0)
