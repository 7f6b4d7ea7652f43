package pipeline

import "fmt"

// MaxDetail is how many bytes of an error's evidence are kept in a record.
const MaxDetail = 8 << 10

// SkipError ends a stage as skipped; see stage.Skip.
type SkipError struct{ Reason string }

func (e *SkipError) Error() string { return fmt.Sprintf("skipped: %s", e.Reason) }
