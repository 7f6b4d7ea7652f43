package strategy

// WaitsForPromote reports whether a rollout by s pauses until it gets the signal
// Promote, for ever if need be.
func WaitsForPromote(s Strategy) bool {
	switch s := s.(type) {
	case Rolling:
		return !s.PauseAt.IsZero() && (s.PauseFor == 0 || s.PauseFor == Forever)
	case RedBlack:
		return s.PauseFor == Forever || s.Before.waits() || s.After.waits()
	case Highlander:
		return s.Gate.waits()
	case Canary:
		waits := s.Analysis != nil && s.Analysis.Undecided == Forever
		for _, st := range s.Steps {
			waits = waits || st.Pause == Forever || st.Analysis != nil && st.Analysis.Undecided == Forever
		}
		return waits
	}
	return false
}

// waits reports whether the analysis waits for a person when it does not decide.
func (a *Analysis) waits() bool { return a != nil && a.Undecided == Forever }
