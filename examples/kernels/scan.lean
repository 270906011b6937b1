/-! The sums of all elements before each: up a tree of a block's elements, and down again (Blelloch 1990). -/

kernelArgs ScanArgs(N: Nat)
  global[input output: Array Int]
  shared[tree: Array Int]

device_kernel exclusiveScan : KernelM ScanArgs Unit := do
  let args ← getArgs
  let input : GlobalArray Int := ⟨args.input⟩
  let output : GlobalArray Int := ⟨args.output⟩
  let tree : SharedArray Int := ⟨args.tree⟩
  let t ← threadIdxX
  let size ← blockDimX
  if t < args.N then
    tree.set t (← input.get t)
  else
    tree.set t 0
  let mut stride := 1
  while stride < size do
    barrier
    let last := 2 * stride * (t + 1) - 1
    if last < size then
      let a ← tree.get (last - stride)
      let b ← tree.get last
      tree.set last (a + b)
    stride := 2 * stride
  barrier
  if t == 0 then
    tree.set (size - 1) 0
  while stride > 1 do
    stride := stride / 2
    barrier
    let last := 2 * stride * (t + 1) - 1
    if last < size then
      let a ← tree.get (last - stride)
      let b ← tree.get last
      tree.set (last - stride) b
      tree.set last (a + b)
  barrier
  if t < args.N then
    output.set t (← tree.get t)
