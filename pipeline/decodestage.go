package pipeline

import "encoding/json"

// set takes in one field of a stage.
func (s *stageRec) set(name, v []byte) error {
	switch string(name) {
	case `"id"`:
		return setText(&s.ID, v)
	case `"status"`:
		return setText(&s.Status, v)
	case `"phase"`:
		return setText(&s.Phase, v)
	case `"gen"`:
		return setInt(&s.Gen, v)
	case `"attempt"`:
		return setInt(&s.Attempt, v)
	case `"input"`:
		s.Input = v
	case `"output"`:
		s.Output = v
	case `"handle"`:
		s.Handle = v
	case `"failure"`:
		return json.Unmarshal(v, &s.Failure)
	case `"reason"`:
		return setText(&s.Reason, v)
	case `"unknown"`:
		return json.Unmarshal(v, &s.Unknown)
	case `"detail"`:
		return setText(&s.Detail, v)
	case `"due"`:
		return setTime(&s.Due, v)
	case `"expires"`:
		return setTime(&s.Expires, v)
	case `"deadline"`:
		return setTime(&s.Deadline, v)
	case `"started"`:
		return setTime(&s.Started, v)
	case `"ended"`:
		return setTime(&s.Ended, v)
	case `"halted"`:
		return setText(&s.Halted, v)
	case `"items"`:
		return json.Unmarshal(v, &s.Items)
	case `"base"`:
		return setInt(&s.Base, v)
	case `"votes"`:
		return json.Unmarshal(v, &s.Votes)
	case `"told"`:
		return json.Unmarshal(v, &s.Told)
	case `"steps"`:
		return json.Unmarshal(v, &s.Steps)
	case `"undo"`:
		return json.Unmarshal(v, &s.Undo)
	case `"override"`:
		return json.Unmarshal(v, &s.Override)
	case `"history"`:
		return json.Unmarshal(v, &s.History)
	default:
		return keep(&s.extra, name, v)
	}
	return nil
}
