package kube

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// wholeWeights are the front's weights in an HTTPRoute's rules, one for each portion,
// and which rule each is of. A weight that is left out is negative.
func (in routing) wholeWeights(route *unstructured.Unstructured) (weights []int64, rules []string) {
	for _, rule := range items(route.Object, "spec", "rules") {
		for _, portion := range in.portions(rule) {
			weights = append(weights, integerOr(-1, portion[0], "weight"))
			rules = append(rules, ruleKey(rule))
		}
	}
	return weights, rules
}

// ruleKey tells a rule from the others, wherever it stands: by what it matches, with
// the default that the API server fills in.
func ruleKey(rule map[string]any) string {
	matches := items(rule, "matches")
	if len(matches) == 0 {
		matches = []map[string]any{{"path": map[string]any{"type": "PathPrefix", "value": "/"}}}
	}
	return hash([]any{str(rule, "name"), matches})
}

// wholes are the weights of the front that a route's portions are shares of. Where it
// is not split that is its weight now. Where it is, that is what was recorded, or if
// somebody has added the rule since what the shares make up.
func (in routing) wholes(route *unstructured.Unstructured) []int64 {
	var out []int64
	seen := map[string]int{} // portions of rules that are alike
	for _, rule := range items(route.Object, "spec", "rules") {
		portions := in.portions(rule)
		for _, portion := range portions {
			key := ruleKey(rule)
			recorded, known := in.recorded(key, seen[key])
			seen[key]++
			switch {
			case len(portion) == 1 && str(portion[0], "name") == in.front:
				out = append(out, integerOr(-1, portion[0], "weight"))
			case known:
				out = append(out, recorded)
			case len(items(rule, "backendRefs")) > total(portions):
				out = append(out, sum(portion))
			case len(portions) > 1:
				out = append(out, sum(portion)/100)
			default:
				out = append(out, -1)
			}
		}
	}
	return out
}

// recorded is the weight of the nth portion of the rules with this key.
func (in routing) recorded(key string, nth int) (int64, bool) {
	for i, k := range in.rules {
		if k != key || i >= len(in.whole) {
			continue
		}
		if nth == 0 {
			return in.whole[i], true
		}
		nth--
	}
	return 0, false
}

func total(portions [][]map[string]any) int {
	n := 0
	for _, p := range portions {
		n += len(p)
	}
	return n
}

func sum(portion []map[string]any) int64 {
	n := int64(0)
	for _, b := range portion {
		n += integerOr(1, b, "weight")
	}
	return n
}
