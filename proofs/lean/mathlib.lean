/-- The larger of two numbers, as a program's comparison has it. -/
def Functions.max {K : Type*} (A : Functions K) (a b : K) : K := if A.gt a b then a else b

/-- Whether neither is greater than the other. -/
def Functions.tied {K : Type*} (A : Functions K) (a b : K) : Bool := !A.gt a b && !A.gt b a

/-- The largest of f i for i below n. -/
def Functions.largest {K : Type*} (A : Functions K) (n : ℕ) (f : ℕ → K) : K :=
  (List.range n).foldl (fun s i => A.max s (f i)) A.lowest
