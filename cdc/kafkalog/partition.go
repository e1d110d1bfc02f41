package kafkalog

// partitionOf puts a key where Java's default partitioner would, so that other producers and stream programs that join on
// the key agree. A record without a key goes to the one partition that its topic's name hashes to: the rows of a table
// without a key stay in order, and the same event always has the same place, which skipping at start relies on.
func partitionOf(topic string, key []byte, partitions int) int {
	if key == nil {
		key = []byte(topic)
	}
	return int((murmur2(key) & 0x7fffffff) % uint32(partitions))
}

// murmur2 is the hash of Java's client.
func murmur2(data []byte) uint32 {
	const m, seed = 0x5bd1e995, 0x9747b28c
	h := seed ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
