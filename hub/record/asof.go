package record

// AsOf says up to when figures are made, if whoever asked would not wait for all events.
type AsOf struct {
	At     int64 // Unix ms: when the last event was accepted that is in the figures; 0: there is no such event
	Behind int64 // events accepted before the question that are not in the figures; 0: nothing is missing
}
