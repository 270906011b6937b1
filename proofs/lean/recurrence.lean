-- Linear recurrences: a scan along time, its derivative, and what goes back through it -------------------------------

/-- h[0] = u[0], h[t + 1] = a[t + 1] h[t] + u[t + 1]. -/
noncomputable def scan {K : Type} (A : Arith K) (a u : N → K) (t : N) : K :=
  N.rec (motive := fun _ => K) (u N.zero) (fun k h => A.add (A.mul (a (N.succ k)) h) (u (N.succ k))) t

/-- g[t] = a[t] g[t + 1] + u[t] for t below n, from the end, where g[n] = 0. -/
noncomputable def scan_back {K : Type} (A : Arith K) (n : N) : (N → K) → (N → K) → N → K :=
  N.rec (motive := fun _ => (N → K) → (N → K) → N → K) (fun _ _ _ => A.zero)
    (fun _ rest a u t =>
      N.rec (motive := fun _ => K)
        (A.add (A.mul (a N.zero) (rest (fun k => a (N.succ k)) (fun k => u (N.succ k)) N.zero)) (u N.zero))
        (fun k _ => rest (fun k => a (N.succ k)) (fun k => u (N.succ k)) k) t) n

/-- h one step before t, and 0 before the first. -/
noncomputable def before {K : Type} (A : Arith K) (h : N → K) (t : N) : K :=
  N.rec (motive := fun _ => K) A.zero (fun k _ => h k) t

/-- The recurrence that begins with h: x[0] = a[0] h + u[0]. -/
noncomputable def scan_from {K : Type} (A : Arith K) (h : K) (a u : N → K) (t : N) : K :=
  N.rec (motive := fun _ => K) (A.add (A.mul (a N.zero) h) (u N.zero))
    (fun k x => A.add (A.mul (a (N.succ k)) x) (u (N.succ k))) t

section
variable {K : Type} {A : Arith K} (L : Laws A) {m n o j t : N} {f g : N → K}

-- Indices below a size

/-- From no = yes anything follows. -/
theorem absurd {α : Type} {x y : α} (h : Same B.no B.yes) : Same x y := cong (fun c => choose c y x) h

theorem less_none : Same (less m N.zero) B.no :=
  N.rec (motive := fun m => Same (less m N.zero) B.no) refl (fun _ _ => refl) m

/-- m < n + 1 where m < n. -/
theorem less_later : Same (less m n) B.yes → Same (less m (N.succ n)) B.yes :=
  N.rec (motive := fun m => (n : N) → Same (less m n) B.yes → Same (less m (N.succ n)) B.yes) (fun _ _ => refl)
    (fun _ ih n =>
      N.rec (motive := fun n => Same (less (N.succ _) n) B.yes → Same (less (N.succ _) (N.succ n)) B.yes)
        (fun h => absurd h) (fun k _ => ih k) n)
    m n

theorem one_plus (one : Same o (N.succ N.zero)) : Same (plus o j) (N.succ j) :=
  trans (cong (fun x => plus x j) one) (trans succ_plus (cong N.succ zero_plus))

theorem scan_re {a u : N → Dual K} {x y : N → K} (ra : (t : N) → Same (a t).re (x t))
    (ru : (t : N) → Same (u t).re (y t)) : Same (scan (dual A) a u t).re (scan A x y t) :=
  N.rec (motive := fun t => Same (scan (dual A) a u t).re (scan A x y t)) (ru N.zero)
    (fun k ih => add_congr (mul_congr (ra (N.succ k)) ih) (ru (N.succ k))) t

include L

/-- A sum by its first term. -/
theorem sum_first : Same (sum A (N.succ n) f) (A.add (f N.zero) (sum A n (fun i => f (N.succ i)))) :=
  N.rec (motive := fun n => Same (sum A (N.succ n) f) (A.add (f N.zero) (sum A n (fun i => f (N.succ i)))))
    (L.add_comm A.zero (f N.zero)) (fun _ ih => trans (add_congr ih refl) (L.add_assoc _ _ _)) n

/-- Of a sum over i below n only the terms below n matter. -/
theorem sum_below (h : (i : N) → Same (less i n) B.yes → Same (f i) (g i)) : Same (sum A n f) (sum A n g) :=
  N.rec (motive := fun n => (f g : N → K) → ((i : N) → Same (less i n) B.yes → Same (f i) (g i)) →
      Same (sum A n f) (sum A n g))
    (fun _ _ _ => refl)
    (fun _ ih _ _ h => trans (sum_first L)
      (trans (add_congr (h N.zero refl) (ih _ _ (fun i => h (N.succ i)))) (symm (sum_first L)))) n f g h

/-- The sum of [i = j] f i is f j, where j is one of the i. -/
theorem sum_at (h : Same (less j n) B.yes) : Same (sum A n (fun i => A.mul (ind A (equal i j)) (f i))) (f j) :=
  N.rec (motive := fun n => (j : N) → (f : N → K) → Same (less j n) B.yes →
      Same (sum A n (fun i => A.mul (ind A (equal i j)) (f i))) (f j))
    (fun _ _ h => absurd (trans (symm less_none) h))
    (fun n ih j f =>
      N.rec (motive := fun j => Same (less j (N.succ n)) B.yes →
          Same (sum A (N.succ n) (fun i => A.mul (ind A (equal i j)) (f i))) (f j))
        (fun _ => trans (sum_first L)
          (trans (add_congr (L.one_mul _) (trans (sum_congr (fun _ => zero_mul L)) (sum_zero L))) (L.add_zero _)))
        (fun k _ h => trans (sum_first L)
          (trans (add_congr (zero_mul L) (ih k (fun i => f (N.succ i)) h)) (zero_add L))) j) n j f h

theorem equal_comm {i j : N} : Same (equal i j) (equal j i) :=
  N.rec (motive := fun i => (j : N) → Same (equal i j) (equal j i))
    (fun j => N.rec (motive := fun j => Same (equal N.zero j) (equal j N.zero)) refl (fun _ _ => refl) j)
    (fun i ih j => N.rec (motive := fun j => Same (equal (N.succ i) j) (equal j (N.succ i))) refl (fun k _ => ih k) j)
    i j

/-- The sum of [j = i] f i is f j, where j is one of the i. -/
theorem sum_of (h : Same (less j n) B.yes) : Same (sum A n (fun i => A.mul (ind A (equal j i)) (f i))) (f j) :=
  trans (sum_congr (fun _ => mul_congr (ind_congr (equal_comm L)) refl)) (sum_at L h)

-- A pad of a slice: what is one step later, and what is one step before

/-- The slice of a from 1, with one more at its end, is a one step later. -/
theorem later_is {a : N → K} (size : Same n (N.succ m)) (one : Same o (N.succ N.zero))
    (h : Same (less (N.succ t) n) B.yes) :
    Same (sum A m (fun i => A.mul (ind A (equal i t))
      (sum A n (fun k => A.mul (ind A (equal (plus o i) k)) (a k))))) (a (N.succ t)) :=
  trans (sum_at L (trans (cong (less (N.succ t)) (symm size)) h))
    (trans (sum_congr (fun k => mul_congr (ind_congr (cong (fun x => equal x k) (one_plus one))) refl)) (sum_of L h))

/-- h without its last, with a 0 at its start, is h one step before. -/
theorem earlier_is {h : N → K} (size : Same n (N.succ m)) (one : Same o (N.succ N.zero))
    (below : Same (less t n) B.yes) :
    Same (sum A m (fun i => A.mul (ind A (equal (plus o i) t))
      (sum A n (fun k => A.mul (ind A (equal i k)) (h k))))) (before A h t) :=
  trans (sum_congr (fun i => mul_congr (ind_congr (cong (fun x => equal x t) (one_plus one))) refl))
    (N.rec (motive := fun t => Same (less t n) B.yes →
        Same (sum A m (fun i => A.mul (ind A (equal (N.succ i) t))
          (sum A n (fun k => A.mul (ind A (equal i k)) (h k))))) (before A h t))
      (fun _ => trans (sum_congr (fun _ => zero_mul L)) (sum_zero L))
      (fun k _ b =>
        let inside : Same (less k m) B.yes := trans (cong (less (N.succ k)) (symm size)) b
        trans (sum_at L inside) (sum_of L (trans (cong (less k) size) (less_later inside)))) t below)

-- The recurrence

/-- Its derivative is the same recurrence, of da[t] h[t - 1] + du[t]. -/
theorem scan_eps {a u : N → Dual K} {x y s r : N → K} (ra : (t : N) → Same (a t).re (x t))
    (ru : (t : N) → Same (u t).re (y t)) (ea : (t : N) → Same (a t).eps (s t)) (eu : (t : N) → Same (u t).eps (r t)) :
    Same (scan (dual A) a u t).eps
      (scan A x (fun t => A.add (A.mul (s t) (before A (fun k => scan A x y k) t)) (r t)) t) :=
  N.rec (motive := fun t => Same (scan (dual A) a u t).eps
      (scan A x (fun t => A.add (A.mul (s t) (before A (fun k => scan A x y k) t)) (r t)) t))
    (trans (eu N.zero) (symm (trans (add_congr (L.mul_zero _) refl) (zero_add L))))
    (fun k ih => trans
      (add_congr (mul_eps (ra (N.succ k)) (scan_re ra ru) (ea (N.succ k)) ih) (eu (N.succ k)))
      (trans (add_congr (L.add_comm _ _) refl) (L.add_assoc _ _ _))) t

/-- What does not depend on the direction has no derivative. -/
theorem scan_still {x y : N → K} : Same (scan A x (fun t => A.add (A.mul A.zero (y t)) A.zero) t) A.zero :=
  N.rec (motive := fun t => Same (scan A x (fun t => A.add (A.mul A.zero (y t)) A.zero) t) A.zero)
    (trans (L.add_zero _) (zero_mul L))
    (fun _ ih => trans (add_congr (trans (mul_congr refl ih) (L.mul_zero _)) (trans (L.add_zero _) (zero_mul L)))
      (L.add_zero _)) t

theorem scan_is_from {a u : N → K} : Same (scan A a u t) (scan_from A A.zero a u t) :=
  N.rec (motive := fun t => Same (scan A a u t) (scan_from A A.zero a u t))
    (symm (trans (add_congr (L.mul_zero _) refl) (zero_add L)))
    (fun _ ih => add_congr (mul_congr refl ih) refl) t

omit L

/-- After its first step it is the recurrence that begins with that. -/
theorem scan_from_next {a u : N → K} {h : K} :
    Same (scan_from A h a u (N.succ t)) (scan_from A (A.add (A.mul (a N.zero) h) (u N.zero))
      (fun k => a (N.succ k)) (fun k => u (N.succ k)) t) :=
  N.rec (motive := fun t => Same (scan_from A h a u (N.succ t)) (scan_from A (A.add (A.mul (a N.zero) h) (u N.zero))
      (fun k => a (N.succ k)) (fun k => u (N.succ k)) t))
    refl (fun _ ih => add_congr (mul_congr refl ih) refl) t

include L

/-- The adjoint, with what the first step has of h:
sum w[t] x[t] = sum g[t] v[t] + a[0] g[0] h, where g[t] = a[t + 1] g[t + 1] + w[t]. By induction from the front. -/
theorem adjoint_from {a v w : N → K} {h : K} :
    Same (sum A n (fun t => A.mul (w t) (scan_from A h a v t)))
      (A.add (sum A n (fun t => A.mul (scan_back A n (fun k => a (N.succ k)) w t) (v t)))
        (A.mul (A.mul (a N.zero) (scan_back A n (fun k => a (N.succ k)) w N.zero)) h)) :=
  N.rec (motive := fun n => (a v w : N → K) → (h : K) →
      Same (sum A n (fun t => A.mul (w t) (scan_from A h a v t)))
        (A.add (sum A n (fun t => A.mul (scan_back A n (fun k => a (N.succ k)) w t) (v t)))
          (A.mul (A.mul (a N.zero) (scan_back A n (fun k => a (N.succ k)) w N.zero)) h)))
    (fun _ _ _ _ => symm (trans (zero_add L) (trans (mul_congr (L.mul_zero _) refl) (zero_mul L))))
    (fun _ ih a v w h => trans (sum_first L)
      (trans (add_congr refl (trans (sum_congr (fun _ => mul_congr refl scan_from_next))
        (ih (fun k => a (N.succ k)) (fun k => v (N.succ k)) (fun k => w (N.succ k)) _)))
      (trans (add_left L)
      (trans (add_congr refl (trans (symm (add_mul L)) (trans (mul_congr (L.add_comm _ _) refl) (mul_add L))))
      (trans (symm (L.add_assoc _ _ _))
      (trans (L.add_comm _ _)
      (trans (symm (L.add_assoc _ _ _))
      (add_congr (symm (sum_first L)) (trans (mul_left L) (symm (L.mul_assoc _ _ _)))))))))))
    n a v w h

/-- The adjoint of a scan is the scan from the end, with the factors of one step later. -/
theorem adjoint_of_scan {a v w : N → K} :
    Same (sum A n (fun t => A.mul (w t) (scan A a v t)))
      (sum A n (fun t => A.mul (scan_back A n (fun k => a (N.succ k)) w t) (v t))) :=
  trans (sum_congr (fun _ => mul_congr refl (scan_is_from L)))
    (trans (adjoint_from L) (trans (add_congr refl (L.mul_zero _)) (L.add_zero _)))

/-- What comes back from the end is times a factor, unless it is the end itself. -/
theorem rest_congr {x y : K} {a w : N → K} (h : Same (less N.zero n) B.yes → Same x y) :
    Same (A.mul x (scan_back A n a w j)) (A.mul y (scan_back A n a w j)) :=
  N.rec (motive := fun n => (Same (less N.zero n) B.yes → Same x y) →
      Same (A.mul x (scan_back A n a w j)) (A.mul y (scan_back A n a w j)))
    (fun _ => trans (L.mul_zero x) (symm (L.mul_zero y))) (fun _ _ h => mul_congr (h refl) refl) n h

/-- The last factor of a scan from the end does not matter. -/
theorem scan_back_below {a b w : N → K} (h : (t : N) → Same (less (N.succ t) n) B.yes → Same (b t) (a t)) :
    Same (scan_back A n b w t) (scan_back A n a w t) :=
  N.rec (motive := fun n => (a b w : N → K) → (t : N) →
      ((t : N) → Same (less (N.succ t) n) B.yes → Same (b t) (a t)) →
      Same (scan_back A n b w t) (scan_back A n a w t))
    (fun _ _ _ _ _ => refl)
    (fun n ih a b w t h =>
      N.rec (motive := fun t => Same (scan_back A (N.succ n) b w t) (scan_back A (N.succ n) a w t))
        (add_congr (trans (mul_congr refl (ih _ _ _ N.zero (fun t => h (N.succ t)))) (rest_congr L (h N.zero))) refl)
        (fun k _ => ih _ _ _ k (fun t => h (N.succ t))) t)
    n a b w t h

/-- What a scan's pullback is: with g from the end, <w, dh> = <g h[t - 1], da> + <g, du>. -/
theorem through_scan {a u w s r later earlier : N → K}
    (hl : (t : N) → Same (less (N.succ t) n) B.yes → Same (later t) (a (N.succ t)))
    (he : (t : N) → Same (less t n) B.yes → Same (earlier t) (before A (fun k => scan A a u k) t)) :
    Same (sum A n (fun t => A.mul (w t)
      (scan A a (fun t => A.add (A.mul (s t) (before A (fun k => scan A a u k) t)) (r t)) t)))
      (A.add (sum A n (fun t => A.mul (scan_back A n later w t) (A.mul (earlier t) (s t))))
        (sum A n (fun t => A.mul (scan_back A n later w t) (r t)))) :=
  trans (adjoint_of_scan L)
    (trans (sum_below L (fun t below => trans
      (mul_congr (symm (scan_back_below L hl)) (add_congr (trans (L.mul_comm _ _) (mul_congr (symm (he t below)) refl)) refl))
      (mul_add L)))
    (sum_add L))
end
