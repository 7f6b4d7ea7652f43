// Package promotiontest tests logs of promotions.
//
// [RunLog] is the contract of promotion.Log as a test suite; every log passes it, and one of your own should:
//
//	func TestLog(t *testing.T) {
//		promotiontest.RunLog(t, func(t *testing.T) func() promotion.Log { return newMyLog(t) })
//	}
//
// It asks a log only for what a promotion.Ledger relies on.
package promotiontest
