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

/-- Matrices that Muon and Shampoo multiply. -/
noncomputable def product (A : Arith K) (n : N) (x y : N → N → K) (i j : N) : K :=
  sum A n (fun k => A.mul (x i k) (y k j))

noncomputable def identity (A : Arith K) (i j : N) : K := choose (equal i j) A.one A.zero

/-- One iteration of Newton and Schulz, of Muon's degree: a X + (b X Xᵀ + c (X Xᵀ)²) X. -/
noncomputable def quintic (A : Arith K) (rows columns : N) (a b c : K) (x : N → N → K) (i j : N) : K :=
  A.add (A.mul a (x i j)) (sum A rows (fun k => A.mul
    (A.add (A.mul b (sum A columns (fun l => A.mul (x i l) (x k l)))) (A.mul c (sum A rows (fun r => A.mul
      (sum A columns (fun l => A.mul (x i l) (x r l))) (sum A columns (fun l => A.mul (x r l) (x k l))))))) (x k j)))

/-- So many iterations. -/
noncomputable def newton_schulz (A : Arith K) (rows columns : N) (a b c : K) (x : N → N → K) (count : N) : N → N → K :=
  N.rec (motive := fun _ => N → N → K) x (fun _ y => quintic A rows columns a b c y) count

structure Orthogonal (K : Type) where
  p : K
  buffer : K

/-- Jordan 2024, of a matrix that has no more rows than columns, with the factor of Liu et al. 2025 and decoupled decay:
Nesterov's momentum, as an average; over its norm; made near orthogonal. -/
noncomputable def muon (A : Arith K) (rows columns iterations i j : N)
    (a b c smallest factor momentum weight_decay lr : K) (p g buffer : N → N → K) : Orthogonal K :=
  let buffer := fun k l => average A momentum (buffer k l) (g k l)
  let ahead := fun k l => average A momentum (buffer k l) (g k l)
  let length := A.sqrt (sum A rows (fun k => sum A columns (fun l => square A (ahead k l))))
  let first := fun k l => div A (ahead k l) (max A length smallest)
  let step := newton_schulz A rows columns a b c first iterations
  { p := sub A (p i j) (A.mul lr (A.add (A.mul factor (step i j)) (A.mul weight_decay (p i j)))), buffer := buffer i j }

/-- How many there are, as a number. -/
noncomputable def count_of (A : Arith K) (n : N) : K := sum A n (fun k => A.one)

noncomputable def mean (A : Arith K) (n : N) (x : N → K) : K := div A (sum A n x) (count_of A n)

/-- x to the power e, for x above 0. -/
noncomputable def real_power (A : Arith K) (x e : K) : K := A.exp (A.mul e (A.log x))

/-- The root of the mean of the squares, of a vector and of a matrix. -/
noncomputable def rms (A : Arith K) (n : N) (x : N → K) : K := div A (norm A n x) (A.sqrt (count_of A n))

noncomputable def rms_of_matrix (A : Arith K) (n m : N) (x : N → N → K) : K :=
  div A (A.sqrt (sum A n (fun k => sum A m (fun l => square A (x k l))))) (A.sqrt (A.mul (count_of A n) (count_of A m)))

structure Factors (K : Type) where
  p : K
  v : K
  rows : K
  columns : K
  count : K

/-- Shazeer and Stern 2018, algorithms 5 and 2 without momentum, beta2 = 1 - t^-fading, the decay decoupled; count is t
as a number. The rate is as it stands; relative to the parameter below. -/
noncomputable def adafactor_absolute (A : Arith K) (n i : N) (epsilon fading threshold weight_decay lr count : K)
    (p g v : N → K) : Factors K :=
  let count := A.add count A.one
  let forget := real_power A count (A.mul A.minus fading)
  let v := fun k => average A (sub A A.one forget) (v k) (A.add (square A (g k)) epsilon)
  let step := fun k => A.mul (g k) (A.rsqrt (v k))
  let rate := div A lr (max A (div A (rms A n step) threshold) A.one)
  { p := sub A (p i) (A.add (A.mul rate (step i)) (A.mul lr (A.mul weight_decay (p i)))), v := v i, rows := A.zero,
    columns := A.zero, count := count }

noncomputable def adafactor (A : Arith K) (n i : N) (epsilon fading threshold floor weight_decay lr count : K)
    (p g v : N → K) : Factors K :=
  let count := A.add count A.one
  let forget := real_power A count (A.mul A.minus fading)
  let v := fun k => average A (sub A A.one forget) (v k) (A.add (square A (g k)) epsilon)
  let step := fun k => A.mul (g k) (A.rsqrt (v k))
  let rate := A.mul (div A lr (max A (div A (rms A n step) threshold) A.one)) (max A (rms A n p) floor)
  { p := sub A (p i) (A.add (A.mul rate (step i)) (A.mul lr (A.mul weight_decay (p i)))), v := v i, rows := A.zero,
    columns := A.zero, count := count }

/-- Algorithm 4: of a matrix with no more rows than columns the means of rows and columns alone, of which the second
moment is the product over the mean of all; the root of a quotient is written as that of its parts. -/
noncomputable def adafactor_factored_absolute (A : Arith K) (n m i j : N)
    (epsilon fading threshold weight_decay lr count : K) (p g : N → N → K) (rows columns : N → K) : Factors K :=
  let count := A.add count A.one
  let forget := real_power A count (A.mul A.minus fading)
  let squares := fun k l => A.add (square A (g k l)) epsilon
  let rows := fun k => average A (sub A A.one forget) (rows k) (mean A m (fun l => squares k l))
  let columns := fun l => average A (sub A A.one forget) (columns l) (mean A n (fun k => squares k l))
  let step := fun k l => A.mul (A.mul (g k l) (A.rsqrt (div A (rows k) (mean A n rows)))) (A.rsqrt (columns l))
  let rate := div A lr (max A (div A (rms_of_matrix A n m step) threshold) A.one)
  { p := sub A (p i j) (A.add (A.mul rate (step i j)) (A.mul lr (A.mul weight_decay (p i j)))), v := A.zero,
    rows := rows i, columns := columns j, count := count }

noncomputable def adafactor_factored (A : Arith K) (n m i j : N)
    (epsilon fading threshold floor weight_decay lr count : K) (p g : N → N → K) (rows columns : N → K) : Factors K :=
  let count := A.add count A.one
  let forget := real_power A count (A.mul A.minus fading)
  let squares := fun k l => A.add (square A (g k l)) epsilon
  let rows := fun k => average A (sub A A.one forget) (rows k) (mean A m (fun l => squares k l))
  let columns := fun l => average A (sub A A.one forget) (columns l) (mean A n (fun k => squares k l))
  let step := fun k l => A.mul (A.mul (g k l) (A.rsqrt (div A (rows k) (mean A n rows)))) (A.rsqrt (columns l))
  let rate := A.mul (div A lr (max A (div A (rms_of_matrix A n m step) threshold) A.one))
    (max A (rms_of_matrix A n m p) floor)
  { p := sub A (p i j) (A.add (A.mul rate (step i j)) (A.mul lr (A.mul weight_decay (p i j)))), v := A.zero,
    rows := rows i, columns := columns j, count := count }

structure Averaged (K : Type) where
  p : K
  z : K
  v : K
  total : K
  largest : K

/-- Defazio et al. 2024, algorithm 1: p is their x, the mean of the z, each with the square of the largest rate so far;
g is the gradient at y. -/
noncomputable def schedulefree (A : Arith K) (t : N) (beta1 beta2 epsilon weight_decay lr p g z v total largest : K) :
    Averaged K :=
  let y := A.add (A.mul (sub A A.one beta1) z) (A.mul beta1 p)
  let v := average A beta2 v (square A g)
  let step := A.add (div A g (A.add (A.sqrt (unbiased A beta2 t v)) epsilon)) (A.mul weight_decay y)
  let z := sub A z (A.mul lr step)
  let largest := max A largest lr
  let total := A.add total (square A largest)
  let share := div A (square A largest) total
  { p := A.add (A.mul (sub A A.one share) p) (A.mul share z), z := z, v := v, total := total, largest := largest }

/-- 1/w is q/t where t = w q. -/
theorem share_of {A : Arith K} (L : Laws A) {w q t : K} (hw : Same (A.mul w (A.recip w)) A.one)
    (ht : Same (A.mul t (A.recip t)) A.one) (h : Same t (A.mul w q)) :
    Same (A.mul A.one (A.recip w)) (A.mul q (A.recip t)) :=
  symm (trans (symm (L.one_mul (A.mul q (A.recip t)))) (trans (mul_congr (symm hw) refl)
    (trans (mul_congr (mul_comm L) refl) (trans (mul_assoc L) (trans (mul_congr refl
      (trans (symm (mul_assoc L)) (trans (mul_congr (symm h) refl) ht))) (mul_comm L))))))

/-- What a matrix is divided by before Newton's iteration: its trace, but not less than the smallest. -/
noncomputable def trace (A : Arith K) (n : N) (smallest : K) (a : N → N → K) : K :=
  max A (sum A n (fun k => sum A n (fun l => A.mul (a k l) (identity A k l)))) smallest

/-- The coupled Newton iteration for a^(-1/p) (Guo and Higham 2006; Anil et al. 2020): from X = start I and
M = scale (a / trace + damping I) on T = ((p + 1) I - M) / p, X <- X T, M <- T^p M. near is (p + 1)/p, share 1/p, and
T^p is T squared so often. -/
noncomputable def first_root (A : Arith K) (start : K) (i j : N) : K := A.mul (identity A i j) start

noncomputable def first_moment (A : Arith K) (n : N) (scale damping smallest : K) (a : N → N → K) (i j : N) : K :=
  A.mul (A.add (div A (a i j) (trace A n smallest a)) (A.mul (identity A i j) damping)) scale

noncomputable def newton_factor (A : Arith K) (near share : K) (m : N → N → K) (i j : N) : K :=
  sub A (A.mul near (identity A i j)) (A.mul share (m i j))

noncomputable def squared (A : Arith K) (n : N) (t : N → N → K) (count : N) : N → N → K :=
  N.rec (motive := fun _ => N → N → K) t (fun _ s => product A n s s) count

noncomputable def newton_moment (A : Arith K) (n squares : N) (near share : K) (m : N → N → K) (count : N) : N → N → K :=
  N.rec (motive := fun _ => N → N → K) m
    (fun _ m => product A n (squared A n (newton_factor A near share m) squares) m) count

noncomputable def newton_iterate (A : Arith K) (n squares : N) (near share : K) (x m : N → N → K) (count : N) :
    N → N → K :=
  N.rec (motive := fun _ => N → N → K) x
    (fun k x => product A n x (newton_factor A near share (newton_moment A n squares near share m k))) count

/-- The trace again, to the power -1/4 and -1/2. -/
noncomputable def root_of_4 (A : Arith K) (n : N) (smallest : K) (a x : N → N → K) (i j : N) : K :=
  A.mul (x i j) (A.rsqrt (A.sqrt (trace A n smallest a)))

noncomputable def root_of_2 (A : Arith K) (n : N) (smallest : K) (a x : N → N → K) (i j : N) : K :=
  A.mul (x i j) (A.rsqrt (trace A n smallest a))

noncomputable def inverse_fourth_root (A : Arith K) (n iterations : N) (near share scale start damping smallest : K)
    (a : N → N → K) : N → N → K :=
  root_of_4 A n smallest a (newton_iterate A n (N.succ (N.succ N.zero)) near share (first_root A start)
    (first_moment A n scale damping smallest a) iterations)

noncomputable def inverse_square_root (A : Arith K) (n iterations : N) (near share scale start damping smallest : K)
    (a : N → N → K) : N → N → K :=
  root_of_2 A n smallest a (newton_iterate A n (N.succ N.zero) near share (first_root A start)
    (first_moment A n scale damping smallest a) iterations)

structure Sides (K : Type) where
  p : K
  m : K
  left : K
  right : K

/-- Gupta et al. 2018, algorithm 1, with averages without bias, as Anil et al. 2020, and Muon's factor; the decay
decoupled. -/
noncomputable def shampoo (A : Arith K) (t rows columns iterations i j : N)
    (near share scale_left start_left scale_right start_right smallest factor damping beta1 beta2 weight_decay lr : K)
    (p g m left right : N → N → K) : Sides K :=
  let m := fun k l => average A beta1 (m k l) (g k l)
  let whole := fun k l => unbiased A beta1 t (m k l)
  let left := fun k l => average A beta2 (left k l) (sum A columns (fun c => A.mul (g k c) (g l c)))
  let right := fun k l => average A beta2 (right k l) (sum A rows (fun r => A.mul (g r k) (g r l)))
  let of_rows := fun k l => unbiased A beta2 t (left k l)
  let of_columns := fun k l => unbiased A beta2 t (right k l)
  let l := inverse_fourth_root A rows iterations near share scale_left start_left damping smallest of_rows
  let r := inverse_fourth_root A columns iterations near share scale_right start_right damping smallest of_columns
  let step := product A columns (fun k c => product A rows l whole k c) r i j
  { p := sub A (p i j) (A.mul lr (A.add (A.mul factor step) (A.mul weight_decay (p i j)))), m := m i j,
    left := left i j, right := right i j }

/-- Of a matrix with more columns than it has a matrix for: the other side's power is -1/2. -/
noncomputable def shampoo_left (A : Arith K) (t rows columns iterations i j : N)
    (near share scale_left start_left smallest factor damping beta1 beta2 weight_decay lr : K)
    (p g m left : N → N → K) : Sides K :=
  let m := fun k l => average A beta1 (m k l) (g k l)
  let whole := fun k l => unbiased A beta1 t (m k l)
  let left := fun k l => average A beta2 (left k l) (sum A columns (fun c => A.mul (g k c) (g l c)))
  let of_rows := fun k l => unbiased A beta2 t (left k l)
  let l := inverse_square_root A rows iterations near share scale_left start_left damping smallest of_rows
  let step := product A rows l whole i j
  { p := sub A (p i j) (A.mul lr (A.add (A.mul factor step) (A.mul weight_decay (p i j)))), m := m i j,
    left := left i j, right := A.zero }

noncomputable def shampoo_right (A : Arith K) (t rows columns iterations i j : N)
    (near share scale_right start_right smallest factor damping beta1 beta2 weight_decay lr : K)
    (p g m right : N → N → K) : Sides K :=
  let m := fun k l => average A beta1 (m k l) (g k l)
  let whole := fun k l => unbiased A beta1 t (m k l)
  let right := fun k l => average A beta2 (right k l) (sum A rows (fun r => A.mul (g r k) (g r l)))
  let of_columns := fun k l => unbiased A beta2 t (right k l)
  let r := inverse_square_root A columns iterations near share scale_right start_right damping smallest of_columns
  let step := product A columns whole r i j
  { p := sub A (p i j) (A.mul lr (A.add (A.mul factor step) (A.mul weight_decay (p i j)))), m := m i j,
    left := A.zero, right := right i j }
end
