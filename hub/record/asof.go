package record

// AsOf says up to when figures are made, if whoever asked would not wait for all events.
type AsOf struct {
	At int64 // Unix ms: when the last event was accepted that is in the figures; 0: there is no such event
	// Behind is how many events were accepted before the question and are not in the
	// figures. 0: nothing is missing. No more than 100,000 are counted.
	Behind int64
}
