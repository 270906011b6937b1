-- Optimizers as their papers state them ----------------------------------------------------------------------------

/- One update of one parameter, written by hand from the papers; what netc emits is compared with it below. t updates
were made before. A state's fields are those of the paper. -/

section
variable {K : Type}

noncomputable def sub (A : Arith K) (a b : K) : K := A.add a (A.mul A.minus b)

noncomputable def div (A : Arith K) (a b : K) : K := A.mul a (A.recip b)

noncomputable def square (A : Arith K) (a : K) : K := A.mul a a

/-- a to the power n. -/
noncomputable def pow (A : Arith K) (a : K) (n : N) : K := N.rec (motive := fun _ => K) A.one (fun _ s => A.mul s a) n

theorem pow_zero {A : Arith K} {a : K} : Same (pow A a N.zero) A.one := refl

theorem pow_succ {A : Arith K} {a : K} {n : N} : Same (pow A a (N.succ n)) (A.mul (pow A a n) a) := refl

/-- b old + (1 - b) new. -/
noncomputable def average (A : Arith K) (b old new : K) : K := A.add (A.mul b old) (A.mul (sub A A.one b) new)

/-- An average that began at 0 over t + 1 updates, without its bias: x / (1 - b^(t+1)). -/
noncomputable def unbiased (A : Arith K) (b : K) (t : N) (x : K) : K := div A x (sub A A.one (pow A b (N.succ t)))

/-- 1, -1 or 0. -/
noncomputable def sign (A : Arith K) (x : K) : K := choose (A.gt x A.zero) A.one (choose (A.gt A.zero x) A.minus A.zero)

/-- The length of a vector. -/
noncomputable def norm (A : Arith K) (n : N) (x : N → K) : K := A.sqrt (sum A n (fun i => square A (x i)))

theorem choose_inner {α β : Type} {c : B} {f : α → β} {x y : α} {z : β} :
    Same (choose c (f (choose c x y)) z) (choose c (f x) z) :=
  B.rec (motive := fun c => Same (choose c (f (choose c x y)) z) (choose c (f x) z)) refl refl c

/-- Stochastic gradient descent: Robbins and Monro 1951; momentum: Polyak 1964, as Sutskever et al. 2013 compare it,
with the rate outside of the velocity as torch.optim.SGD has it. Decay is L2: g + weight_decay p. -/
structure Descent (K : Type) where
  p : K
  velocity : K

noncomputable def sgd (A : Arith K) (momentum weight_decay lr p g velocity : K) : Descent K :=
  let g := A.add g (A.mul weight_decay p)
  let u := A.add (A.mul momentum velocity) g
  { p := sub A p (A.mul lr u), velocity := u }

/-- Nesterov's momentum: Sutskever et al. 2013, in the same form. -/
noncomputable def sgd_nesterov (A : Arith K) (momentum weight_decay lr p g velocity : K) : Descent K :=
  let g := A.add g (A.mul weight_decay p)
  let u := A.add (A.mul momentum velocity) g
  { p := sub A p (A.mul lr (A.add g (A.mul momentum u))), velocity := u }

structure Moments (K : Type) where
  p : K
  m : K
  v : K

/-- Kingma and Ba 2015, algorithm 1; decay is L2. -/
noncomputable def adam (A : Arith K) (t : N) (beta1 beta2 epsilon weight_decay lr p g m v : K) : Moments K :=
  let g := A.add g (A.mul weight_decay p)
  let m := average A beta1 m g
  let v := average A beta2 v (square A g)
  let step := div A (unbiased A beta1 t m) (A.add (A.sqrt (unbiased A beta2 t v)) epsilon)
  { p := sub A p (A.mul lr step), m := m, v := v }

/-- Loshchilov and Hutter 2019, algorithm 2: the decay decoupled, both parts with the rate of the step. -/
noncomputable def adamw (A : Arith K) (t : N) (beta1 beta2 epsilon weight_decay lr p g m v : K) : Moments K :=
  let m := average A beta1 m g
  let v := average A beta2 v (square A g)
  let step := div A (unbiased A beta1 t m) (A.add (A.sqrt (unbiased A beta2 t v)) epsilon)
  { p := sub A p (A.mul lr (A.add step (A.mul weight_decay p))), m := m, v := v }

/-- Dozat 2016, with a constant beta1: the momentum of the next update, and this gradient; decay is L2. -/
noncomputable def nadam (A : Arith K) (t : N) (beta1 beta2 epsilon weight_decay lr p g m v : K) : Moments K :=
  let g := A.add g (A.mul weight_decay p)
  let m := average A beta1 m g
  let v := average A beta2 v (square A g)
  let ahead := unbiased A beta1 (N.succ t) (A.mul beta1 m)
  let now := unbiased A beta1 t (A.mul (sub A A.one beta1) g)
  let step := div A (A.add ahead now) (A.add (A.sqrt (unbiased A beta2 t v)) epsilon)
  { p := sub A p (A.mul lr step), m := m, v := v }

/-- The same with the decay decoupled, as AdamW's. -/
noncomputable def nadamw (A : Arith K) (t : N) (beta1 beta2 epsilon weight_decay lr p g m v : K) : Moments K :=
  let m := average A beta1 m g
  let v := average A beta2 v (square A g)
  let ahead := unbiased A beta1 (N.succ t) (A.mul beta1 m)
  let now := unbiased A beta1 t (A.mul (sub A A.one beta1) g)
  let step := div A (A.add ahead now) (A.add (A.sqrt (unbiased A beta2 t v)) epsilon)
  { p := sub A p (A.mul lr (A.add step (A.mul weight_decay p))), m := m, v := v }

structure Momentum (K : Type) where
  p : K
  m : K

/-- Chen et al. 2023, algorithm 2. -/
noncomputable def lion (A : Arith K) (beta1 beta2 weight_decay lr p g m : K) : Momentum K :=
  let c := average A beta1 m g
  { p := sub A p (A.mul lr (A.add (sign A c) (A.mul weight_decay p))), m := average A beta2 m g }

structure Squares (K : Type) where
  p : K
  v : K
  q : K
  buffer : K

/-- Tieleman and Hinton 2012, with torch's momentum; v begins at `initial`; decay is L2. -/
noncomputable def rmsprop (A : Arith K) (alpha epsilon momentum weight_decay lr p g v buffer : K) : Squares K :=
  let g := A.add g (A.mul weight_decay p)
  let v := average A alpha v (square A g)
  let u := A.add (A.mul momentum buffer) (div A g (A.add (A.sqrt v) epsilon))
  { p := sub A p (A.mul lr u), v := v, q := A.zero, buffer := u }

/-- Graves 2013, equations 38 to 45: less the square of the mean of g. -/
noncomputable def rmsprop_centered (A : Arith K) (alpha epsilon momentum weight_decay lr p g v q buffer : K) :
    Squares K :=
  let g := A.add g (A.mul weight_decay p)
  let v := average A alpha v (square A g)
  let q := average A alpha q g
  let u := A.add (A.mul momentum buffer) (div A g (A.add (A.sqrt (sub A v (square A q))) epsilon))
  { p := sub A p (A.mul lr u), v := v, q := q, buffer := u }

/-- TensorFlow's form: epsilon inside the root, the rate inside the velocity. -/
noncomputable def rmsprop_inside (A : Arith K) (alpha epsilon momentum weight_decay lr p g v buffer : K) : Squares K :=
  let g := A.add g (A.mul weight_decay p)
  let v := average A alpha v (square A g)
  let u := A.add (A.mul momentum buffer) (div A (A.mul lr g) (A.sqrt (A.add v epsilon)))
  { p := sub A p u, v := v, q := A.zero, buffer := u }

noncomputable def rmsprop_centered_inside (A : Arith K) (alpha epsilon momentum weight_decay lr p g v q buffer : K) :
    Squares K :=
  let g := A.add g (A.mul weight_decay p)
  let v := average A alpha v (square A g)
  let q := average A alpha q g
  let u := A.add (A.mul momentum buffer) (div A (A.mul lr g) (A.sqrt (A.add (sub A v (square A q)) epsilon)))
  { p := sub A p u, v := v, q := q, buffer := u }

structure Sums (K : Type) where
  p : K
  squares : K

/-- Duchi et al. 2011, figure 1, without a regulariser, the matrix being a diagonal; squares begins at `initial`. -/
noncomputable def adagrad (A : Arith K) (epsilon weight_decay lr p g squares : K) : Sums K :=
  let g := A.add g (A.mul weight_decay p)
  let s := A.add squares (square A g)
  { p := sub A p (A.mul lr (div A g (A.add (A.sqrt s) epsilon))), squares := s }

structure Steps (K : Type) where
  p : K
  v : K
  w : K

/-- Zeiler 2012, algorithm 1: the root mean square of the steps over that of the gradients. -/
noncomputable def adadelta (A : Arith K) (rho epsilon weight_decay lr p g v w : K) : Steps K :=
  let g := A.add g (A.mul weight_decay p)
  let v := average A rho v (square A g)
  let d := A.mul (div A (A.sqrt (A.add w epsilon)) (A.sqrt (A.add v epsilon))) g
  { p := sub A p (A.mul lr d), v := v, w := average A rho w (square A d) }

/-- You et al. 2020, algorithm 2, of a layer of n numbers, of which this is the update of the i-th; the ratio is 1 where
a norm is 0, as their program has it. -/
noncomputable def lamb (A : Arith K) (n t i : N) (beta1 beta2 epsilon weight_decay lr : K) (p g m v : N → K) :
    Moments K :=
  let m := fun j => average A beta1 (m j) (g j)
  let v := fun j => average A beta2 (v j) (square A (g j))
  let r := fun j => A.add
    (div A (unbiased A beta1 t (m j)) (A.add (A.sqrt (unbiased A beta2 t (v j))) epsilon)) (A.mul weight_decay (p j))
  let trust := choose (A.gt (norm A n r) A.zero) (div A (norm A n p) (norm A n r)) A.one
  let ratio := choose (A.gt (norm A n p) A.zero) trust A.one
  { p := sub A (p i) (A.mul (A.mul lr ratio) (r i)), m := m i, v := v i }
end
