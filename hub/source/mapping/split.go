package mapping

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxParts is how many messages one request may carry.
const MaxParts = 1000

// Part is one message of a request.
type Part struct {
	Body []byte
	// Key tells the message from all others of its source, if its format says so: the same
	// key again is the same message. "" if the format has none.
	Key string
}

// ErrTooMany is the error of Split for more than MaxParts messages.
var ErrTooMany = fmt.Errorf("more than %d messages in one request", MaxParts)

// Split takes the messages of a request apart. Any error but ErrTooMany says why the body
// cannot be read at all; it is then one message, which will be rejected.
func Split(f Format, in Input) ([]Part, error) {
	switch f {
	case AsNDJSON:
		return splitLines(in.Body)
	case AsFirehose:
		return splitFirehose(in.Body)
	case AsCloudEvents:
		if strings.HasPrefix(strings.ToLower(in.Headers["content-type"]), "application/cloudevents-batch") {
			return splitArray(in.Body)
		}
	case AsJSON, AsEventBridge:
		if body := bytes.TrimSpace(in.Body); len(body) > 0 && body[0] == '[' {
			return splitArray(body)
		}
	case AsForm, AsFormJSON, AsXML, AsFreeSWITCH:
	}
	return []Part{{Body: in.Body}}, nil
}

func splitLines(body []byte) (parts []Part, err error) {
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(parts) == MaxParts {
			return nil, ErrTooMany
		}
		parts = append(parts, Part{Body: line})
	}
	return parts, nil
}

func splitArray(body []byte) (parts []Part, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('[') {
		return nil, errors.New("the body must be an array")
	}
	for dec.More() {
		if len(parts) == MaxParts {
			return nil, ErrTooMany
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("malformed JSON: %w", unexpected(err))
		}
		parts = append(parts, Part{Body: raw})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("malformed JSON: %w", unexpected(err))
	}
	return parts, nil
}

// splitFirehose takes the records of a Firehose request apart. A request that is sent again
// has the same requestId, so a record is known by that and its place.
func splitFirehose(body []byte) ([]Part, error) {
	var batch struct {
		RequestID string `json:"requestId"`
		Records   []struct {
			Data string `json:"data"`
		} `json:"records"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, fmt.Errorf("malformed JSON: %w", err)
	}
	if len(batch.Records) > MaxParts {
		return nil, ErrTooMany
	}

	parts := make([]Part, len(batch.Records))
	for i, r := range batch.Records {
		data, err := base64.StdEncoding.DecodeString(r.Data)
		if err != nil {
			return nil, fmt.Errorf("record %d is not base64", i)
		}
		parts[i].Body = data
		if batch.RequestID != "" {
			parts[i].Key = fmt.Sprintf("%s/%d", batch.RequestID, i)
		}
	}
	return parts, nil
}
