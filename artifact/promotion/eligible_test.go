package promotion_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// log makes records with consecutive numbers.
func log(records ...promotion.Record) []promotion.Record {
	for i := range records {
		records[i].Seq = uint64(i + 1)
	}
	return records
}

func rec(e promotion.Event, env string, n int, minute int) promotion.Record {
	r := promotion.Record{Event: e, Environment: env, At: noon.Add(time.Duration(minute) * time.Minute)}
	if n != 0 {
		r.Set = aSet(n).Digest()
	}
	return r
}

func TestEligibleReasons(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	set := aSet(1)
	inTest := log(rec(promotion.Candidate, "", 1, 0), rec(promotion.Deployed, "test", 1, 0), rec(promotion.Verified, "test", 1, 0))
	all := []evidence.Predicate{passed("smoke", noon), canary("pass", noon), provenance("x:ci"), approved("alice", noon), approved("bob", noon)}
	but := func(i int, p ...evidence.Predicate) []evidence.Predicate {
		return append(append(append([]evidence.Predicate{}, all[:i]...), all[i+1:]...), p...)
	}
	plus := func(p ...evidence.Predicate) []evidence.Predicate {
		return append(append([]evidence.Predicate{}, all...), p...)
	}
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		records  []promotion.Record
		evidence []evidence.Predicate
		minute   int
		want     string
	}{
		"eligible":          {inTest, all, 60, "eligible"},
		"soak":              {inTest, all, 18, "soak: 42m0s left in test"},
		"several":           {inTest, all[2:4], 18, "missing test smoke evidence; missing canary in test evidence; soak: 42m0s left in test; approvals: 1 of 2"},
		"nothing":           {nil, nil, 0, "missing provenance of image web by x:ci; missing test smoke evidence; missing canary in test evidence; not verified in test; approvals: 0 of 2; it is no candidate (automation only)"},
		"test failed":       {inTest, but(0, failed("smoke", noon)), 60, "test smoke: it failed"},
		"failed after":      {inTest, plus(failed("smoke", at(1))), 60, "test smoke: it failed"},
		"failed before":     {inTest, plus(failed("smoke", at(-1))), 60, "eligible"},
		"failed meanwhile":  {inTest, plus(failed("smoke", noon)), 60, "test smoke: it failed"},
		"failed some time":  {inTest, plus(failed("smoke", time.Time{})), 60, "test smoke: it failed"},
		"passed tomorrow":   {inTest, but(0, passed("smoke", at(1440))), 60, "test smoke: its evidence is dated in the future, 2026-05-05 12:00:00 UTC"},
		"another suite":     {inTest, but(0, passed("unit", noon)), 60, "missing test smoke evidence"},
		"canary failed":     {inTest, but(1, canary("fail", noon)), 60, "canary in test: fail"},
		"canary saw none":   {inTest, but(1, canary("no data", noon)), 60, "canary in test: no data"},
		"another builder":   {inTest, but(2, provenance("x:laptop")), 60, "missing provenance of image web by x:ci"},
		"approved twice":    {inTest, but(4, approved("alice", at(1))), 60, "approvals: 1 of 2"},
		"not an approver":   {inTest, but(4, approved("mallory", noon)), 60, "approvals: 1 of 2"},
		"rejected":          {inTest, plus(rejected("carol", noon)), 60, "rejected by carol: no"},
		"changed her mind":  {inTest, plus(rejected("alice", at(1)), approved("carol", noon)), 60, "rejected by alice: no"},
		"and back":          {inTest, plus(rejected("alice", at(1)), approved("alice", at(2))), 60, "eligible"},
		"approves tomorrow": {inTest, but(4, approved("bob", at(1440))), 60, "approvals: 1 of 2"},
		"for another place": {inTest, but(4, evidence.Approval{Application: "shop", Environment: "stage", Approver: "bob", Approved: true, At: noon}), 60, "approvals: 1 of 2"},
		"other's approval":  {inTest, but(4, evidence.Approval{Application: "pay", Environment: "prod", Approver: "bob", Approved: true, At: noon}), 60, "approvals: 1 of 2"},
		"other's rejection": {inTest, plus(evidence.Approval{Application: "pay", Environment: "prod", Approver: "bob", At: at(1)}), 60, "eligible"},
		"other's canary":    {inTest, but(1, evidence.Canary{Application: "pay", Environment: "test", Outcome: "pass", At: noon}), 60, "missing canary in test evidence"},
		"other's test":      {inTest, but(0, evidence.NewTestResult("smoke", evidence.Passed, noon).In("pay", "test")), 60, "missing test smoke evidence"},
		"our test":          {inTest, but(0, evidence.NewTestResult("smoke", evidence.Passed, noon).In("shop", "test")), 60, "eligible"},
		"other's soak":      {inTest, plus(evidence.Soak{Application: "pay", Environment: "test", Since: at(-90), Until: at(-20)}), 18, "soak: 42m0s left in test"},
		"soak signed":       {inTest, plus(evidence.Soak{Application: "shop", Environment: "test", Since: at(-90), Until: at(-20)}), 1, "eligible"},
		"soak elsewhere":    {inTest, plus(evidence.Soak{Application: "shop", Environment: "lab", Since: at(-90), Until: at(-20)}), 0, "soak: 1h0m0s left in test"},
		"soak to come":      {inTest, plus(evidence.Soak{Application: "shop", Environment: "test", Since: noon, Until: at(90)}), 0, "soak: 1h0m0s left in test"},
		"clock before":      {inTest, all, -30, "test smoke: its evidence is dated in the future, 2026-05-04 12:00:00 UTC; canary in test: its evidence is dated in the future, 2026-05-04 12:00:00 UTC; soak: 1h30m0s left in test; approvals: 0 of 2"},
		"soak in vain": {log(rec(promotion.Deployed, "lab", 1, 0), rec(promotion.Verified, "lab", 1, 0), rec(promotion.Deployed, "test", 1, 0), rec(promotion.Candidate, "", 1, 0)), all, 900,
			"not verified in test"},
		"replaced early": {log(rec(promotion.Candidate, "", 1, 0), rec(promotion.Deployed, "test", 1, 0), rec(promotion.Verified, "test", 1, 0), rec(promotion.Deployed, "test", 2, 20)), all, 900,
			"soak: 40m0s left in test, where it does not run any more"},
		"replaced late": {log(rec(promotion.Candidate, "", 1, 0), rec(promotion.Deployed, "test", 1, 0), rec(promotion.Verified, "test", 1, 0), rec(promotion.Deployed, "test", 2, 60)), all, 61, "eligible"},
		"not verified":  {log(rec(promotion.Candidate, "", 1, 0), rec(promotion.Deployed, "test", 1, 0)), all, 900, "not verified in test"},
		"verified another": {log(rec(promotion.Candidate, "", 1, 0), rec(promotion.Deployed, "test", 1, 0), rec(promotion.Deployed, "test", 2, 1), rec(promotion.Verified, "test", 1, 2)), all, 900,
			"not verified in test"},
		"demoted":    {append(inTest[:3:3], withReason(rec(promotion.Demoted, "test", 1, 70), "it leaks")), all, 900, "not good in test: it leaks"},
		"good again": {append(inTest[:3:3], rec(promotion.Demoted, "test", 1, 70), rec(promotion.Verified, "test", 1, 80)), all, 100, "soak: 40m0s left in test"},
		"soaked before": {append(inTest[:3:3], rec(promotion.Demoted, "test", 1, 70), rec(promotion.Verified, "test", 1, 80)),
			plus(evidence.Soak{Application: "shop", Environment: "test", Since: noon, Until: at(65)}), 100, "soak: 40m0s left in test"},
		"taken back":   {append(inTest[:3:3], withPrevious(rec(promotion.RolledBack, "test", 2, 70), 1)), all, 900, "not good in test: rolledback"},
		"held":         {append(inTest[:3:3], withReason(rec(promotion.Held, "prod", 0, 1), "freeze")), all, 60, "held by a rollback since 2026-05-04 12:01:00 UTC: freeze (automation only)"},
		"released":     {append(inTest[:3:3], rec(promotion.Held, "prod", 0, 1), rec(promotion.Released, "prod", 0, 2)), all, 60, "eligible"},
		"held in test": {append(inTest[:3:3], rec(promotion.Held, "test", 0, 1)), all, 60, "eligible"},
		"runs":         {append(inTest[:3:3], rec(promotion.Deployed, "prod", 1, 60)), all, 90, "it runs in prod already (automation only)"},
		"failed here":  {append(inTest[:3:3], withReason(rec(promotion.Failed, "prod", 1, 60), "crash loop")), all, 90, "it has failed in prod before: crash loop (automation only)"},
		"older": {append(inTest[:3:3], rec(promotion.Candidate, "", 2, 3), rec(promotion.Deployed, "prod", 2, 4)), all, 90,
			"it is older than what runs in prod (automation only)"},
	} {
		h := promotion.History{Application: "shop", Records: log(c.records...)}
		for _, p := range c.evidence {
			h.Evidence = append(h.Evidence, w.says(set, p))
		}
		h.Evidence = append(h.Evidence, w.says(aSet(9), passed("smoke", at(2)))) // about another set
		v := promotion.Eligible(set, prodEnv, h, at(c.minute))
		text, _, _ := strings.Cut(v.String(), " (1 refused: ")
		require.Equal(t, c.want, text, name)
	}
}

func withReason(r promotion.Record, reason string) promotion.Record { r.Reason = reason; return r }
func withPrevious(r promotion.Record, n int) promotion.Record {
	r.Previous = aSet(n).Digest()
	return r
}

func TestEligibleDetails(t *testing.T) {
	t.Parallel()
	w, set := newWitness(t), aSet(1)
	h := promotion.History{Application: "shop", Records: log(rec(promotion.Candidate, "", 1, 0), rec(promotion.Deployed, "test", 1, 0), rec(promotion.Verified, "test", 1, 5),
		withReason(rec(promotion.Held, "prod", 0, 1), "freeze"))}
	h.Records[3].Until = noon.Add(3 * time.Hour)
	for _, p := range []evidence.Predicate{passed("smoke", noon), canary("pass", noon), provenance("x:ci"), approved("alice", noon), approved("bob", noon), passed("unit", noon)} {
		h.Evidence = append(h.Evidence, w.says(set, p))
	}
	v := promotion.Eligible(set, prodEnv, h, noon.Add(30*time.Minute))
	require.False(t, v.Eligible())
	until, ok := v.Until(false)
	require.True(t, ok, "time alone will do")
	require.Equal(t, noon.Add(65*time.Minute), until)
	until, ok = v.Until(true)
	require.True(t, ok)
	require.Equal(t, noon.Add(3*time.Hour), until)
	require.Equal(t, []string{"alice", "bob"}, v.Approvers)
	require.Len(t, v.Evidence, 5, "the test that nobody asked for is not what it rests on")

	at := promotion.Eligible(set, prodEnv, h, noon.Add(65*time.Minute))
	require.True(t, at.Eligible())
	require.False(t, at.Automatic())
	require.True(t, promotion.Eligible(set, prodEnv, h, noon.Add(3*time.Hour)).Automatic())
	everyone := h
	everyone.Records = append([]promotion.Record{}, h.Records...)
	everyone.Records[3].Everyone = true
	require.False(t, promotion.Eligible(set, prodEnv, everyone, noon.Add(65*time.Minute)).Eligible())
	require.False(t, promotion.Eligible(artifact.Set{}, testEnv, h, noon).Eligible(), "the empty set goes nowhere")

	anyOf := prodEnv
	anyOf.Rules.AnyFrom = true
	anyOf.Rules.From = []promotion.Upstream{{Environment: "test", Soak: time.Hour}, {Environment: "lab", Soak: time.Minute}}
	v = promotion.Eligible(set, anyOf, h, noon.Add(35*time.Minute))
	require.Equal(t, "soak: 30m0s left in test, or not verified in lab", v.Reasons[0].Text)
	require.True(t, promotion.Eligible(set, anyOf, h, noon.Add(65*time.Minute)).Eligible())
	anyOf.Rules.AnyFrom = false
	require.False(t, promotion.Eligible(set, anyOf, h, noon.Add(65*time.Minute)).Eligible())
}

// One person who is spelt in two ways is one person, whose newest word counts.
func TestEligibleSpelling(t *testing.T) {
	t.Parallel()
	w, set := newWitness(t), aSet(1)
	env := promotion.Environment{Name: "prod", Rules: promotion.Rules{Approvals: 2}}
	ask := func(all ...evidence.Predicate) string {
		h := promotion.History{Application: "shop", Records: log(rec(promotion.Candidate, "", 1, 0))}
		for _, p := range all {
			h.Evidence = append(h.Evidence, w.says(set, p))
		}
		env.Rules.Automatic = true
		return promotion.Eligible(set, env, h, noon.Add(time.Hour)).String()
	}
	require.Equal(t, "approvals: 1 of 2", ask(approved("alice", noon), approved("Alice", noon), approved(" alice", noon)))
	require.Equal(t, "eligible", ask(approved("alice", noon), approved("bob", noon)))
	require.Contains(t, ask(approved("alice", noon), approved("bob", noon), rejected("ALICE", noon.Add(time.Minute))), "rejected by")

	// Who may approve is meant exactly; who rejects need not be.
	env.Rules.Approvers = []string{"alice", "bob"}
	require.Equal(t, "approvals: 1 of 2", ask(approved("Alice", noon), approved("bob", noon)))
	require.Equal(t, "eligible", ask(approved("alice", noon), approved("bob", noon)))
	require.Contains(t, ask(approved("alice", noon), approved("bob", noon), rejected("ALICE", noon.Add(time.Minute))), "rejected by")
	require.Equal(t, "eligible", ask(approved("alice", noon), approved("bob", noon), rejected("mallory", noon.Add(time.Minute))))
}

// Evidence about another application is named to whoever asks why it does not count.
func TestEligibleOtherApplication(t *testing.T) {
	t.Parallel()
	w, set := newWitness(t), aSet(1)
	e := w.says(set, evidence.Approval{Application: "pay", Environment: "prod", Approver: "bob", Approved: true, At: noon})
	v := promotion.Eligible(set, prodEnv, promotion.History{Application: "shop", Evidence: []evidence.Verified{e}}, noon)
	require.Empty(t, v.Approvers)
	require.Len(t, v.Refused, 1)
	require.Contains(t, v.Refused[0], `about something else: application "pay", and not "shop"`)
	v = promotion.Eligible(set, prodEnv, promotion.History{Evidence: []evidence.Verified{e}}, noon)
	require.Empty(t, v.Approvers, "a history that names no application is none's")
}

func TestReturnable(t *testing.T) {
	t.Parallel()
	var records []promotion.Record
	for n := 1; n <= 3; n++ {
		records = append(records, rec(promotion.Deployed, "prod", n, n), rec(promotion.Verified, "prod", n, n))
	}
	records = append(records, rec(promotion.Deployed, "prod", 4, 4), rec(promotion.Demoted, "prod", 2, 5))
	back := func(n int) string {
		return promotion.Returnable(aSet(n), prodEnv, promotion.History{Application: "shop", Records: log(records...)}, noon).String()
	}
	require.Equal(t, "eligible", back(3))
	require.Contains(t, back(2), "the last set that was verified good in prod is "+aSet(3).Digest().Short())
	require.Contains(t, back(4), "the last set")
	records = append(records, withPrevious(rec(promotion.RolledBack, "prod", 3, 6), 4))
	require.Equal(t, "eligible", back(1), "2 was demoted, and 3 runs")
	records = append(records, withPrevious(rec(promotion.RolledBack, "prod", 1, 7), 3))
	require.Equal(t, "no other set was verified good in prod", back(3))
	s := promotion.History{Application: "shop", Records: log(records...)}.State("prod")
	require.Equal(t, aSet(1).Digest(), s.Set)
	require.Equal(t, noon.Add(7*time.Minute), s.Verified, "it was good before, and is")
}
