/- netc: what a proof about a training program needs. Lean 4, no import, no axiom in any proof.

A tensor of rank r is a function of r natural numbers; only sums read its sizes. Numbers are any commutative ring with
some functions on it (`Arith`). The derivative of a program is the ε-part of the same program run on dual numbers
x + ε d (`dual`): there, and only there, it is said what the derivative of exp, log, 1/x, sqrt(x) and 1/sqrt(x) is. -/
prelude
set_option autoImplicit false
set_option genCtorIdx false
set_option genInjectivity false
set_option linter.all false
universe u v
-- names that Lean's code generator asks for; no proof uses them, as `#print axioms` shows
unsafe axiom lcAny : Type
unsafe axiom lcErased : Type
unsafe axiom lcVoid : Type

-- Equality, natural numbers, truth values ------------------------------------------------------------------------

inductive Same {α : Sort u} : α → α → Prop where
  | refl (a : α) : Same a a

theorem refl {α : Sort u} {a : α} : Same a a := Same.refl a

theorem symm {α : Sort u} {a b : α} (h : Same a b) : Same b a :=
  Same.rec (motive := fun x _ => Same x a) (Same.refl a) h

theorem trans {α : Sort u} {a b c : α} (h : Same a b) (k : Same b c) : Same a c :=
  Same.rec (motive := fun x _ => Same a x) h k

theorem cong {α : Sort u} {β : Sort v} (f : α → β) {a b : α} (h : Same a b) : Same (f a) (f b) :=
  Same.rec (motive := fun x _ => Same (f a) (f x)) (Same.refl (f a)) h

theorem cong2 {α β γ : Type} (f : α → β → γ) {a b : α} {c d : β} (h : Same a b) (k : Same c d) :
    Same (f a c) (f b d) :=
  trans (cong (fun x => f x c) h) (cong (f b) k)

inductive N : Type where
  | zero : N
  | succ (n : N) : N

inductive B : Type where
  | no : B
  | yes : B

noncomputable def choose {α : Type} (c : B) (a b : α) : α := B.rec (motive := fun _ => α) b a c

/-- a and b. -/
noncomputable def both (a b : B) : B := choose a b B.no

/-- a or b. -/
noncomputable def either (a b : B) : B := choose a B.yes b

noncomputable def plus (m n : N) : N := N.rec (motive := fun _ => N) m (fun _ s => N.succ s) n

noncomputable def times (m n : N) : N := N.rec (motive := fun _ => N) N.zero (fun _ s => plus s m) n

theorem zero_plus {n : N} : Same (plus N.zero n) n :=
  N.rec (motive := fun n => Same (plus N.zero n) n) refl (fun _ ih => cong N.succ ih) n

theorem succ_plus {m n : N} : Same (plus (N.succ m) n) (N.succ (plus m n)) :=
  N.rec (motive := fun n => Same (plus (N.succ m) n) (N.succ (plus m n))) refl (fun _ ih => cong N.succ ih) n

theorem plus_comm {m n : N} : Same (plus m n) (plus n m) :=
  N.rec (motive := fun n => Same (plus m n) (plus n m)) (symm zero_plus)
    (fun _ ih => trans (cong N.succ ih) (symm succ_plus)) n

/-- Whether m = n. -/
noncomputable def equal (m : N) : N → B :=
  N.rec (motive := fun _ => N → B) (fun n => N.rec (motive := fun _ => B) B.yes (fun _ _ => B.no) n)
    (fun _ below n => N.rec (motive := fun _ => B) B.no (fun k _ => below k) n) m

/-- Whether m < n. -/
noncomputable def less (m : N) : N → B :=
  N.rec (motive := fun _ => N → B) (fun n => N.rec (motive := fun _ => B) B.no (fun _ _ => B.yes) n)
    (fun _ below n => N.rec (motive := fun _ => B) B.no (fun k _ => below k) n) m

/-- i, or the last index of an axis of size n if i is past it. -/
noncomputable def clamp (n i : N) : N :=
  choose (less i n) i (N.rec (motive := fun _ => N) N.zero (fun k _ => k) n)

/-- Whether c does not hold. -/
noncomputable def not (c : B) : B := choose c B.no B.yes

-- Numbers --------------------------------------------------------------------------------------------------------

/-- What a program computes with. `gt` is >, `lowest` is what a maximum starts from, `recip` is 1/x, `rsqrt` is
1/sqrt(x), `erf_slope` is 2/sqrt(pi). -/
structure Arith (K : Type) where
  zero : K
  one : K
  minus : K
  half : K
  lowest : K
  erf_slope : K
  add : K → K → K
  mul : K → K → K
  gt : K → K → B
  exp : K → K
  log : K → K
  recip : K → K
  sqrt : K → K
  rsqrt : K → K
  tanh : K → K
  logistic : K → K
  erf : K → K
  sin : K → K
  cos : K → K

/-- The laws of a commutative ring, `minus` being -1; and that no number is greater than itself. -/
structure Laws {K : Type} (A : Arith K) where
  add_comm : (a b : K) → Same (A.add a b) (A.add b a)
  add_assoc : (a b c : K) → Same (A.add (A.add a b) c) (A.add a (A.add b c))
  add_zero : (a : K) → Same (A.add a A.zero) a
  mul_comm : (a b : K) → Same (A.mul a b) (A.mul b a)
  mul_assoc : (a b c : K) → Same (A.mul (A.mul a b) c) (A.mul a (A.mul b c))
  one_mul : (a : K) → Same (A.mul A.one a) a
  left_distrib : (a b c : K) → Same (A.mul a (A.add b c)) (A.add (A.mul a b) (A.mul a c))
  mul_zero : (a : K) → Same (A.mul a A.zero) A.zero
  cancel : Same (A.add A.one A.minus) A.zero
  gt_self : (a : K) → Same (A.gt a a) B.no

section
variable {K : Type}

/-- The sum of f i for i below n. -/
noncomputable def sum (A : Arith K) (n : N) (f : N → K) : K :=
  N.rec (motive := fun _ => K) A.zero (fun k s => A.add s (f k)) n

noncomputable def max (A : Arith K) (a b : K) : K := choose (A.gt a b) a b

/-- Whether neither is greater than the other. -/
noncomputable def tied (A : Arith K) (a b : K) : B := both (not (A.gt a b)) (not (A.gt b a))

/-- The largest of f i for i below n. -/
noncomputable def largest (A : Arith K) (n : N) (f : N → K) : K :=
  N.rec (motive := fun _ => K) A.lowest (fun k s => max A s (f k)) n

/-- 1 where c holds, otherwise 0. -/
noncomputable def ind (A : Arith K) (c : B) : K := choose c A.one A.zero

-- Commutative rings and sums -------------------------------------------------------------------------------------

variable {A : Arith K} (L : Laws A) {a b c d : K} {n m : N} {f g : N → K}

theorem add_congr {a b c d : K} (h : Same a b) (k : Same c d) : Same (A.add a c) (A.add b d) := cong2 A.add h k

theorem mul_congr {a b c d : K} (h : Same a b) (k : Same c d) : Same (A.mul a c) (A.mul b d) := cong2 A.mul h k

theorem sum_congr {n : N} {f g : N → K} (h : (i : N) → Same (f i) (g i)) : Same (sum A n f) (sum A n g) :=
  N.rec (motive := fun n => Same (sum A n f) (sum A n g)) (Same.refl A.zero) (fun k ih => add_congr ih (h k)) n

theorem sum_none {f : N → K} : Same (sum A N.zero f) A.zero := refl

theorem sum_last {n : N} {f : N → K} : Same (sum A (N.succ n) f) (A.add (sum A n f) (f n)) := refl

include L

/-- a b = 1 takes both out of a product. -/
theorem one_of (h : Same (A.mul a b) A.one) : Same (A.mul a (A.mul b c)) c :=
  trans (symm (L.mul_assoc a b c)) (trans (mul_congr h refl) (L.one_mul c))

theorem add_comm : Same (A.add a b) (A.add b a) := L.add_comm a b
theorem add_assoc : Same (A.add (A.add a b) c) (A.add a (A.add b c)) := L.add_assoc a b c
theorem add_zero : Same (A.add a A.zero) a := L.add_zero a
theorem zero_add : Same (A.add A.zero a) a := trans (L.add_comm A.zero a) (L.add_zero a)
theorem mul_comm : Same (A.mul a b) (A.mul b a) := L.mul_comm a b
theorem mul_assoc : Same (A.mul (A.mul a b) c) (A.mul a (A.mul b c)) := L.mul_assoc a b c
theorem one_mul : Same (A.mul A.one a) a := L.one_mul a
theorem mul_one : Same (A.mul a A.one) a := trans (L.mul_comm a A.one) (L.one_mul a)
theorem mul_add : Same (A.mul a (A.add b c)) (A.add (A.mul a b) (A.mul a c)) := L.left_distrib a b c
theorem add_mul : Same (A.mul (A.add a b) c) (A.add (A.mul a c) (A.mul b c)) :=
  trans (L.mul_comm (A.add a b) c) (trans (L.left_distrib c a b) (add_congr (L.mul_comm c a) (L.mul_comm c b)))

/-- a + (b + c) = b + (a + c). -/
theorem add_left : Same (A.add a (A.add b c)) (A.add b (A.add a c)) :=
  trans (symm (L.add_assoc a b c)) (trans (add_congr (L.add_comm a b) refl) (L.add_assoc b a c))

/-- a (b c) = b (a c). -/
theorem mul_left : Same (A.mul a (A.mul b c)) (A.mul b (A.mul a c)) :=
  trans (symm (L.mul_assoc a b c)) (trans (mul_congr (L.mul_comm a b) refl) (L.mul_assoc b a c))

theorem mul_zero : Same (A.mul a A.zero) A.zero := L.mul_zero a
theorem zero_mul : Same (A.mul A.zero a) A.zero := trans (L.mul_comm A.zero a) (L.mul_zero a)

/-- (-1) (-1) = 1: both are what makes -1 to 0. -/
theorem minus_minus : Same (A.mul A.minus A.minus) A.one :=
  trans (symm (L.add_zero (A.mul A.minus A.minus)))
  (trans (add_congr refl (symm L.cancel))
  (trans (add_left L)
  (trans (add_congr refl (trans (add_congr refl (symm (mul_one L)))
    (trans (symm (mul_add L)) (trans (mul_congr refl (trans (L.add_comm A.minus A.one) L.cancel)) (mul_zero L)))))
  (L.add_zero A.one))))

/-- (-1) ((-1) a) = a. -/
theorem minus_minus_mul : Same (A.mul A.minus (A.mul A.minus a)) a :=
  trans (symm (L.mul_assoc A.minus A.minus a)) (trans (mul_congr (minus_minus L) refl) (L.one_mul a))

/-- a + (-1) a = 0. -/
theorem add_minus : Same (A.add a (A.mul A.minus a)) A.zero :=
  trans (add_congr (symm (L.one_mul a)) refl)
    (trans (symm (add_mul L)) (trans (mul_congr L.cancel refl) (zero_mul L)))

/-- a + ((-1) a + b) = b. -/
theorem add_minus_add : Same (A.add a (A.add (A.mul A.minus a) b)) b :=
  trans (symm (L.add_assoc a (A.mul A.minus a) b)) (trans (add_congr (add_minus L) refl) (zero_add L))

/-- a/2 + a/2 = a. -/
theorem halves (h : Same (A.add A.half A.half) A.one) : Same (A.add (A.mul A.half a) (A.mul A.half a)) a :=
  trans (symm (add_mul L)) (trans (mul_congr h refl) (L.one_mul a))

theorem swap4 : Same (A.add (A.add a b) (A.add c d)) (A.add (A.add a c) (A.add b d)) :=
  trans (L.add_assoc a b (A.add c d)) (trans (add_congr refl (add_left L)) (symm (L.add_assoc a c (A.add b d))))

theorem sum_zero : Same (sum A n (fun _ => A.zero)) A.zero :=
  N.rec (motive := fun n => Same (sum A n (fun _ => A.zero)) A.zero) (Same.refl A.zero)
    (fun _ ih => trans (L.add_zero _) ih) n

theorem sum_add : Same (sum A n (fun i => A.add (f i) (g i))) (A.add (sum A n f) (sum A n g)) :=
  N.rec (motive := fun n => Same (sum A n (fun i => A.add (f i) (g i))) (A.add (sum A n f) (sum A n g)))
    (symm (L.add_zero A.zero))
    (fun _ ih => trans (add_congr ih refl) (swap4 L)) n

theorem mul_sum : Same (A.mul a (sum A n f)) (sum A n (fun i => A.mul a (f i))) :=
  N.rec (motive := fun n => Same (A.mul a (sum A n f)) (sum A n (fun i => A.mul a (f i)))) (L.mul_zero a)
    (fun _ ih => trans (mul_add L) (add_congr ih refl)) n

theorem sum_mul : Same (A.mul (sum A n f) a) (sum A n (fun i => A.mul (f i) a)) :=
  trans (L.mul_comm (sum A n f) a) (trans (mul_sum L) (sum_congr (fun i => L.mul_comm a (f i))))

/-- Two sums may be exchanged. -/
theorem sum_comm {f : N → N → K} :
    Same (sum A n (fun i => sum A m (fun j => f i j))) (sum A m (fun j => sum A n (fun i => f i j))) :=
  N.rec
    (motive := fun n =>
      Same (sum A n (fun i => sum A m (fun j => f i j))) (sum A m (fun j => sum A n (fun i => f i j))))
    (symm (sum_zero L))
    (fun _ ih => trans (add_congr ih refl) (symm (sum_add L))) n

-- Choices --------------------------------------------------------------------------------------------------------

omit L

theorem choose_congr {α : Type} {c d : B} {a b : α} (h : Same c d) : Same (choose c a b) (choose d a b) :=
  cong (fun t => choose t a b) h

theorem choose_all {c d : B} {a b x y : K} (h : Same c d) (ha : Same a x) (hb : Same b y) :
    Same (choose c a b) (choose d x y) :=
  trans (choose_congr h) (cong2 (choose d) ha hb)

theorem max_is {a b : K} : Same (max A a b) (choose (A.gt a b) a b) := refl

theorem max_congr {a b x y : K} (h : Same a x) (k : Same b y) : Same (max A a b) (max A x y) := cong2 (max A) h k

theorem ind_yes {c : B} (h : Same c B.yes) : Same (ind A c) A.one := cong (ind A) h

theorem ind_no {c : B} (h : Same c B.no) : Same (ind A c) A.zero := cong (ind A) h

theorem ind_congr {c d : B} (h : Same c d) : Same (ind A c) (ind A d) := cong (ind A) h

theorem gt_congr {a b c d : K} (h : Same a b) (k : Same c d) : Same (A.gt a c) (A.gt b d) := cong2 A.gt h k

/-- It does not matter which is first. -/
theorem tied_comm {a b : K} : Same (tied A a b) (tied A b a) :=
  B.rec (motive := fun c => Same (both c (not (A.gt b a))) (both (not (A.gt b a)) c))
    (B.rec (motive := fun c => Same B.no (both c B.no)) refl refl (not (A.gt b a)))
    (B.rec (motive := fun c => Same c (both c B.yes)) refl refl (not (A.gt b a))) (not (A.gt a b))

theorem tied_congr {a b c d : K} (h : Same a b) (k : Same c d) : Same (tied A a c) (tied A b d) := cong2 (tied A) h k

include L

/-- c ? a : 0 = [c] a. -/
theorem choose_zero {c : B} : Same (choose c a A.zero) (A.mul (ind A c) a) :=
  B.rec (motive := fun c => Same (choose c a A.zero) (A.mul (ind A c) a)) (symm (zero_mul L)) (symm (L.one_mul a)) c

/-- [c] [c] = [c]. -/
theorem ind_ind {c : B} : Same (A.mul (ind A c) (ind A c)) (ind A c) :=
  B.rec (motive := fun c => Same (A.mul (ind A c) (ind A c)) (ind A c)) (L.mul_zero A.zero) (L.one_mul A.one) c

theorem ind_ind_mul {c : B} : Same (A.mul (ind A c) (A.mul (ind A c) a)) (A.mul (ind A c) a) :=
  trans (symm (L.mul_assoc (ind A c) (ind A c) a)) (mul_congr (ind_ind L) refl)

/-- [a > 0] max(a, 0) = max(a, 0). -/
theorem masked_max : Same (A.mul (ind A (A.gt a A.zero)) (max A a A.zero)) (max A a A.zero) :=
  B.rec (motive := fun c => Same (A.mul (ind A c) (choose c a A.zero)) (choose c a A.zero)) (L.mul_zero A.zero)
    (L.one_mul a) (A.gt a A.zero)

/-- c ? a : b = [c] a + (1 - [c]) b. -/
theorem choose_split {c : B} :
    Same (choose c a b) (A.add (A.mul (ind A c) a) (A.mul (A.add A.one (A.mul A.minus (ind A c))) b)) :=
  B.rec
    (motive := fun c =>
      Same (choose c a b) (A.add (A.mul (ind A c) a) (A.mul (A.add A.one (A.mul A.minus (ind A c))) b)))
    (symm (trans (add_congr (zero_mul L) (mul_congr (trans (add_congr refl (L.mul_zero A.minus)) (L.add_zero A.one)) refl))
      (trans (zero_add L) (L.one_mul b))))
    (symm (trans (add_congr (L.one_mul a) (trans (mul_congr (trans (add_congr refl (mul_one L)) L.cancel) refl)
      (zero_mul L))) (L.add_zero a))) c

/-- a = (c ? 0 : a) + [c] a. -/
theorem choose_parts {c : B} : Same a (A.add (choose c A.zero a) (A.mul (ind A c) a)) :=
  B.rec (motive := fun c => Same a (A.add (choose c A.zero a) (A.mul (ind A c) a)))
    (symm (trans (add_congr refl (zero_mul L)) (L.add_zero a)))
    (symm (trans (add_congr refl (L.one_mul a)) (zero_add L))) c

/-- (c ? 0 : a) [c] = 0. -/
theorem choose_apart {c : B} : Same (A.mul (choose c A.zero a) (ind A c)) A.zero :=
  B.rec (motive := fun c => Same (A.mul (choose c A.zero a) (ind A c)) A.zero) (L.mul_zero a) (zero_mul L) c

/-- e = exp of what is lowest outside of c, which is 0: so it is [c] e. -/
theorem masked {c : B} (h : Same (A.exp (A.add A.lowest b)) A.zero) :
    Same (A.mul (ind A c) (A.exp (A.add (choose c a A.lowest) b))) (A.exp (A.add (choose c a A.lowest) b)) :=
  B.rec
    (motive := fun c =>
      Same (A.mul (ind A c) (A.exp (A.add (choose c a A.lowest) b))) (A.exp (A.add (choose c a A.lowest) b)))
    (trans (zero_mul L) (symm h)) (L.one_mul (A.exp (A.add a b))) c

/-- What has such a factor is so too. -/
theorem masked_mul (h : Same (A.mul a b) b) : Same (A.mul a (A.mul b c)) (A.mul b c) :=
  trans (symm (L.mul_assoc a b c)) (mul_congr h refl)

/-- What goes to a of max(a, b) where ties are halved and there is none: [a > b]. -/
theorem halved_first (h : Same (A.gt b a) (not (A.gt a b))) (one : Same (A.mul A.one (A.recip A.one)) A.one) :
    Same (A.mul (choose (tied A a (max A a b)) A.one A.zero)
      (A.recip (choose (tied A b (max A a b)) (A.add A.one A.one) A.one))) (ind A (A.gt a b)) :=
  B.rec
    (motive := fun c => Same (A.gt a b) c → Same (A.gt b a) (not c) →
      Same (A.mul (choose (tied A a (choose c a b)) A.one A.zero)
        (A.recip (choose (tied A b (choose c a b)) (A.add A.one A.one) A.one))) (ind A c))
    (fun p q => trans (mul_congr (choose_congr (cong2 both (cong not p) (cong not q))) refl) (zero_mul L))
    (fun p q => trans
      (mul_congr
        (choose_congr (cong2 both (cong not (L.gt_self a)) (cong not (L.gt_self a))))
        (cong A.recip (choose_congr (cong2 both (cong not q) (cong not p)))))
      one) (A.gt a b) refl h

/-- What goes to b: 1 - [a > b]. -/
theorem halved_second (h : Same (A.gt b a) (not (A.gt a b))) (one : Same (A.mul A.one (A.recip A.one)) A.one) :
    Same (A.mul (choose (tied A b (max A a b)) A.one A.zero)
      (A.recip (choose (tied A a (max A a b)) (A.add A.one A.one) A.one)))
      (A.add A.one (A.mul A.minus (ind A (A.gt a b)))) :=
  B.rec
    (motive := fun c => Same (A.gt a b) c → Same (A.gt b a) (not c) →
      Same (A.mul (choose (tied A b (choose c a b)) A.one A.zero)
        (A.recip (choose (tied A a (choose c a b)) (A.add A.one A.one) A.one)))
        (A.add A.one (A.mul A.minus (ind A c))))
    (fun p q => trans
      (mul_congr
        (choose_congr (cong2 both (cong not (L.gt_self b)) (cong not (L.gt_self b))))
        (cong A.recip (choose_congr (cong2 both (cong not p) (cong not q)))))
      (trans one (symm (trans (add_congr refl (L.mul_zero A.minus)) (L.add_zero A.one)))))
    (fun p q => trans (mul_congr (choose_congr (cong2 both (cong not q) (cong not p))) refl)
      (trans (zero_mul L) (symm (trans (add_congr refl (mul_one L)) L.cancel)))) (A.gt a b) refl h

/-- max(a, b) > b if and only if a > b. -/
theorem gt_max : Same (A.gt (max A a b) b) (A.gt a b) :=
  B.rec (motive := fun c => Same (A.gt a b) c → Same (A.gt (choose c a b) b) c)
    (fun _ => L.gt_self b) (fun h => h) (A.gt a b) refl

end
