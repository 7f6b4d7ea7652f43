package strategy

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is a number of pods or a share of them. The zero Amount means "the
// default of the field"; an explicit nothing is Pods(0). In JSON it is a number
// of pods (2) or a percentage ("25%").
type Amount struct {
	unit unit
	n    int
}

type unit uint8

const (
	unset unit = iota
	pods
	percent
)

// Pods is an absolute number of pods, at least 0.
func Pods(n int) Amount { return Amount{pods, n} }

// Percent is a share of the pods, 0 to 100.
func Percent(n int) Amount { return Amount{percent, n} }

// IsZero reports whether the amount was not set.
func (a Amount) IsZero() bool { return a.unit == unset }

// String returns the amount as Kubernetes writes it: "2", "25%", or "" if unset.
func (a Amount) String() string {
	switch a.unit {
	case pods:
		return strconv.Itoa(a.n)
	case percent:
		return strconv.Itoa(a.n) + "%"
	default:
		return ""
	}
}

// Ceil resolves the amount against total, rounding up, as Kubernetes does for a
// surge. An unset amount is 0.
func (a Amount) Ceil(total int) int { return a.of(total, 99) }

// Floor resolves the amount against total, rounding down, as Kubernetes does
// for unavailable pods. An unset amount is 0.
func (a Amount) Floor(total int) int { return a.of(total, 0) }

func (a Amount) of(total, round int) int {
	switch a.unit {
	case pods:
		return a.n
	case percent:
		return int((int64(total)*int64(a.n) + int64(round)) / 100)
	default:
		return 0
	}
}

func (a Amount) or(d Amount) Amount {
	if a.unit == unset {
		return d
	}
	return a
}

func (a Amount) validate(field string) error {
	switch {
	case a.n < 0:
		return fmt.Errorf("%s: %s is negative; use Pods(0) for none", field, a)
	case a.unit == percent && a.n > 100:
		return fmt.Errorf("%s: %s is more than 100%%", field, a)
	case a.n > math.MaxInt32:
		return fmt.Errorf("%s: %s is beyond any cluster", field, a)
	}
	return nil
}

// MarshalJSON writes a number, a percentage string, or null if unset.
func (a Amount) MarshalJSON() ([]byte, error) {
	switch a.unit {
	case pods:
		return strconv.AppendInt(nil, int64(a.n), 10), nil
	case percent:
		return []byte(`"` + a.String() + `"`), nil
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads what MarshalJSON writes. A bare string such as "25" is
// refused, because tools disagree whether it means pods or percent.
func (a *Amount) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		*a = Amount{}
		return nil
	}
	if n, err := strconv.Atoi(text); err == nil {
		*a = Pods(n)
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		if digits, ok := strings.CutSuffix(s, "%"); ok {
			if n, err := strconv.Atoi(digits); err == nil {
				*a = Percent(n)
				return nil
			}
		}
	}
	return fmt.Errorf(`amount %s: want a number of pods (2) or a percentage ("25%%")`, text)
}
