/-! Activations of one's own: a function of one number, and beside it, with a prime, its derivative. -/

def sigmoid (x : Float) : Float := 1 / (1 + exp (-x))

/-- x sigmoid(x), which netc has as `swish`. -/
def swoosh (x : Float) : Float := x * sigmoid x

def swoosh' (x : Float) : Float :=
  let s := sigmoid x
  s + x * s * (1 - s)

/-- Straight in the middle, a tenth as steep outside. -/
def bend (x : Float) : Float :=
  if x > 1 then 0.9 + 0.1 * x else if x < -1 then -0.9 + 0.1 * x else x

def bend' (x : Float) : Float :=
  if x > 1 ∨ x < -1 then 0.1 else 1
