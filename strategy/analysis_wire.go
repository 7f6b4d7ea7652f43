package strategy

import "time"

// analysisWire is an Analysis as it is recorded.
type analysisWire struct {
	Name              string `json:"name,omitempty"`
	Delay             span   `json:"delay,omitempty"`
	Interval          span   `json:"interval,omitempty"`
	Count             int    `json:"count,omitempty"`
	FailureLimit      int    `json:"failureLimit,omitempty"`
	InconclusiveLimit int    `json:"inconclusiveLimit,omitempty"`
	NoDataLimit       int    `json:"noDataLimit,omitempty"`
	ErrorLimit        int    `json:"errorLimit,omitempty"`
	Undecided         span   `json:"undecided,omitempty"`
}

func toWire(a *Analysis) *analysisWire {
	if a == nil {
		return nil
	}
	return &analysisWire{a.Name, span(a.Delay), span(a.Interval), a.Count, a.FailureLimit, a.InconclusiveLimit,
		a.NoDataLimit, a.ErrorLimit, span(a.Undecided)}
}

func (w *analysisWire) analysis() *Analysis {
	if w == nil {
		return nil
	}
	return &Analysis{w.Name, time.Duration(w.Delay), time.Duration(w.Interval), w.Count, w.FailureLimit, w.InconclusiveLimit,
		w.NoDataLimit, w.ErrorLimit, time.Duration(w.Undecided)}
}
