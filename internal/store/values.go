package store

import (
	"encoding/json"
	"errors"
	"fmt"
)

// form is the first byte of every value that is not empty: the version of what follows.
const form = 1

// errDamaged: the files hold what pdhook cannot have written.
var errDamaged = errors.New("damaged data")

// empty is the value of an index key: the key says it all.
var empty = []byte{}

func encode(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return append([]byte{form}, text...), nil
}

// decode tolerates unknown fields: a newer pdhook of the same schema may have added them.
func decode[T any](k, value []byte) (v T, err error) {
	if len(value) == 0 || value[0] != form {
		return v, fmt.Errorf("%w: value of %q begins with no known form", errDamaged, k)
	}
	if err := json.Unmarshal(value[1:], &v); err != nil {
		return v, fmt.Errorf("%w: value of %q: %v", errDamaged, k, err)
	}
	return v, nil
}
