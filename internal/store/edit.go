package store

// edit is what one operation wants to be written. It reads what the disk holds, overlaid with the
// operations before it in the same batch and with its own changes.
type edit struct {
	now   snapshot
	batch changes // of the operations before it
	own   changes
	size  int // of own, in bytes with perChange for each
}

func (e *edit) value(k key) ([]byte, error) {
	for _, c := range []changes{e.own, e.batch} {
		if v, changed := c[string(k)]; changed {
			return v, nil
		}
	}
	return e.now.value(k)
}

// put notes a record to be written.
func (e *edit) put(k key, record any) error {
	value, err := encode(record)
	if err != nil {
		return err
	}
	e.set(k, value)
	return nil
}

func (e *edit) set(k key, value []byte) {
	e.own[string(k)] = value
	e.size += len(k) + len(value) + perChange
}

func (e *edit) delete(k key) { e.set(k, nil) }
