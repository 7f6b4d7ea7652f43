package pipeline

import "strings"

// samePerson reports whether two names are one person's when people are counted or kept from deciding about what they started
// themselves: names that differ in letter case or in spaces around them are. Who may decide at all is compared exactly, as
// identity providers may have an account for each spelling.
func samePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
