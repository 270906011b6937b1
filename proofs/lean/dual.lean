-- Dual numbers: the derivative of a program ----------------------------------------------------------------------

/-- x + ε d with ε² = 0. -/
structure Dual (K : Type) where
  re : K
  eps : K

/-- The same functions on dual numbers. This is the definition of the derivative of each. -/
noncomputable def dual {K : Type} (A : Arith K) : Arith (Dual K) where
  zero := Dual.mk A.zero A.zero
  one := Dual.mk A.one A.zero
  minus := Dual.mk A.minus A.zero
  half := Dual.mk A.half A.zero
  lowest := Dual.mk A.lowest A.zero
  erf_slope := Dual.mk A.erf_slope A.zero
  add := fun a b => Dual.mk (A.add a.re b.re) (A.add a.eps b.eps)
  mul := fun a b => Dual.mk (A.mul a.re b.re) (A.add (A.mul a.eps b.re) (A.mul a.re b.eps))
  gt := fun a b => A.gt a.re b.re
  -- exp' = exp, log' = 1/x, (1/x)' = -(1/x)², sqrt' = 1/2 1/sqrt, (x^-1/2)' = -1/2 (x^-1/2)³, tanh' = 1 - tanh²,
  -- s' = s (1 - s), erf' = 2/sqrt(pi) exp(-x²), sin' = cos, cos' = -sin
  exp := fun a => Dual.mk (A.exp a.re) (A.mul (A.exp a.re) a.eps)
  log := fun a => Dual.mk (A.log a.re) (A.mul (A.recip a.re) a.eps)
  recip := fun a => Dual.mk (A.recip a.re) (A.mul (A.mul A.minus (A.mul (A.recip a.re) (A.recip a.re))) a.eps)
  sqrt := fun a => Dual.mk (A.sqrt a.re) (A.mul (A.mul A.half (A.recip (A.sqrt a.re))) a.eps)
  rsqrt := fun a => Dual.mk (A.rsqrt a.re)
    (A.mul (A.mul (A.mul A.minus A.half) (A.mul (A.rsqrt a.re) (A.mul (A.rsqrt a.re) (A.rsqrt a.re)))) a.eps)
  tanh := fun a => Dual.mk (A.tanh a.re)
    (A.mul (A.add A.one (A.mul A.minus (A.mul (A.tanh a.re) (A.tanh a.re)))) a.eps)
  logistic := fun a => Dual.mk (A.logistic a.re)
    (A.mul (A.mul (A.logistic a.re) (A.add A.one (A.mul A.minus (A.logistic a.re)))) a.eps)
  erf := fun a => Dual.mk (A.erf a.re) (A.mul (A.mul A.erf_slope (A.exp (A.mul A.minus (A.mul a.re a.re)))) a.eps)
  sin := fun a => Dual.mk (A.sin a.re) (A.mul (A.cos a.re) a.eps)
  cos := fun a => Dual.mk (A.cos a.re) (A.mul (A.mul A.minus (A.sin a.re)) a.eps)

section
variable {K : Type} {A : Arith K} {a b : Dual K} {x y s t : K} {n : N}

-- Of each operation: its real part is the operation on the real parts; its ε-part is its derivative.

theorem add_re (ha : Same a.re x) (hb : Same b.re y) : Same ((dual A).add a b).re (A.add x y) := add_congr ha hb

theorem add_eps (ha : Same a.eps s) (hb : Same b.eps t) : Same ((dual A).add a b).eps (A.add s t) := add_congr ha hb

theorem mul_re (ha : Same a.re x) (hb : Same b.re y) : Same ((dual A).mul a b).re (A.mul x y) := mul_congr ha hb

theorem mul_eps (ra : Same a.re x) (rb : Same b.re y) (ha : Same a.eps s) (hb : Same b.eps t) :
    Same ((dual A).mul a b).eps (A.add (A.mul s y) (A.mul x t)) :=
  add_congr (mul_congr ha rb) (mul_congr ra hb)

theorem sum_re {f : N → Dual K} {g : N → K} (h : (i : N) → Same (f i).re (g i)) :
    Same (sum (dual A) n f).re (sum A n g) :=
  N.rec (motive := fun n => Same (sum (dual A) n f).re (sum A n g)) (Same.refl A.zero)
    (fun k ih => add_congr ih (h k)) n

theorem sum_eps {f : N → Dual K} {g : N → K} (h : (i : N) → Same (f i).eps (g i)) :
    Same (sum (dual A) n f).eps (sum A n g) :=
  N.rec (motive := fun n => Same (sum (dual A) n f).eps (sum A n g)) (Same.refl A.zero)
    (fun k ih => add_congr ih (h k)) n

theorem tied_re (ha : Same a.re x) (hb : Same b.re y) : Same (tied (dual A) a b) (tied A x y) := tied_congr ha hb

theorem gt_re (ha : Same a.re x) (hb : Same b.re y) : Same ((dual A).gt a b) (A.gt x y) := gt_congr ha hb

theorem choose_re {c d : B} (hc : Same c d) (ha : Same a.re x) (hb : Same b.re y) :
    Same (choose c a b).re (choose d x y) :=
  trans (B.rec (motive := fun c => Same (choose c a b).re (choose c x y)) hb ha c) (choose_congr hc)

theorem choose_eps {c d : B} (hc : Same c d) (ha : Same a.eps s) (hb : Same b.eps t) :
    Same (choose c a b).eps (choose d s t) :=
  trans (B.rec (motive := fun c => Same (choose c a b).eps (choose c s t)) hb ha c) (choose_congr hc)

theorem max_re (ha : Same a.re x) (hb : Same b.re y) : Same (max (dual A) a b).re (max A x y) :=
  choose_re (gt_re ha hb) ha hb

theorem max_eps (ra : Same a.re x) (rb : Same b.re y) (ha : Same a.eps s) (hb : Same b.eps t) :
    Same (max (dual A) a b).eps (choose (A.gt x y) s t) :=
  choose_eps (gt_re ra rb) ha hb

theorem largest_re {f : N → Dual K} {g : N → K} (h : (i : N) → Same (f i).re (g i)) :
    Same (largest (dual A) n f).re (largest A n g) :=
  N.rec (motive := fun n => Same (largest (dual A) n f).re (largest A n g)) (Same.refl A.lowest)
    (fun k ih => max_re ih (h k)) n

theorem ind_re {c d : B} (hc : Same c d) : Same (ind (dual A) c).re (ind A d) := choose_re hc refl refl

theorem ind_eps {c : B} : Same (ind (dual A) c).eps A.zero :=
  B.rec (motive := fun c => Same (ind (dual A) c).eps A.zero) refl refl c

theorem exp_re (h : Same a.re x) : Same ((dual A).exp a).re (A.exp x) := cong A.exp h
theorem log_re (h : Same a.re x) : Same ((dual A).log a).re (A.log x) := cong A.log h
theorem recip_re (h : Same a.re x) : Same ((dual A).recip a).re (A.recip x) := cong A.recip h
theorem rsqrt_re (h : Same a.re x) : Same ((dual A).rsqrt a).re (A.rsqrt x) := cong A.rsqrt h
theorem sqrt_re (h : Same a.re x) : Same ((dual A).sqrt a).re (A.sqrt x) := cong A.sqrt h
theorem tanh_re (h : Same a.re x) : Same ((dual A).tanh a).re (A.tanh x) := cong A.tanh h
theorem logistic_re (h : Same a.re x) : Same ((dual A).logistic a).re (A.logistic x) := cong A.logistic h

theorem erf_re (h : Same a.re x) : Same ((dual A).erf a).re (A.erf x) := cong A.erf h
theorem sin_re (h : Same a.re x) : Same ((dual A).sin a).re (A.sin x) := cong A.sin h
theorem cos_re (h : Same a.re x) : Same ((dual A).cos a).re (A.cos x) := cong A.cos h

theorem exp_eps (h : Same a.re x) (k : Same a.eps s) : Same ((dual A).exp a).eps (A.mul (A.exp x) s) :=
  mul_congr (cong A.exp h) k

theorem log_eps (h : Same a.re x) (k : Same a.eps s) : Same ((dual A).log a).eps (A.mul (A.recip x) s) :=
  mul_congr (cong A.recip h) k

theorem recip_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).recip a).eps (A.mul (A.mul A.minus (A.mul (A.recip x) (A.recip x))) s) :=
  mul_congr (cong (fun z => A.mul A.minus (A.mul (A.recip z) (A.recip z))) h) k

theorem rsqrt_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).rsqrt a).eps
      (A.mul (A.mul (A.mul A.minus A.half) (A.mul (A.rsqrt x) (A.mul (A.rsqrt x) (A.rsqrt x)))) s) :=
  mul_congr (cong (fun z => A.mul (A.mul A.minus A.half) (A.mul (A.rsqrt z) (A.mul (A.rsqrt z) (A.rsqrt z)))) h) k

theorem sqrt_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).sqrt a).eps (A.mul (A.mul A.half (A.recip (A.sqrt x))) s) :=
  mul_congr (cong (fun z => A.mul A.half (A.recip (A.sqrt z))) h) k

theorem tanh_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).tanh a).eps (A.mul (A.add A.one (A.mul A.minus (A.mul (A.tanh x) (A.tanh x)))) s) :=
  mul_congr (cong (fun z => A.add A.one (A.mul A.minus (A.mul (A.tanh z) (A.tanh z)))) h) k

theorem logistic_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).logistic a).eps
      (A.mul (A.mul (A.logistic x) (A.add A.one (A.mul A.minus (A.logistic x)))) s) :=
  mul_congr (cong (fun z => A.mul (A.logistic z) (A.add A.one (A.mul A.minus (A.logistic z)))) h) k

theorem sin_eps (h : Same a.re x) (k : Same a.eps s) : Same ((dual A).sin a).eps (A.mul (A.cos x) s) :=
  mul_congr (cong A.cos h) k

theorem cos_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).cos a).eps (A.mul (A.mul A.minus (A.sin x)) s) :=
  mul_congr (cong (fun z => A.mul A.minus (A.sin z)) h) k

theorem erf_eps (h : Same a.re x) (k : Same a.eps s) :
    Same ((dual A).erf a).eps (A.mul (A.mul A.erf_slope (A.exp (A.mul A.minus (A.mul x x)))) s) :=
  mul_congr (cong (fun z => A.mul A.erf_slope (A.exp (A.mul A.minus (A.mul z z)))) h) k
end
