package documents

import (
	"context"

	"nubridge/mapper"
)

// Visible tells, aligned with wants, which of them any read that begins now is proven to see. What is visible stays visible. It
// blocks for one query; its errors are as those of Read.
func (r *Reader) Visible(ctx context.Context, wants []mapper.Want) ([]bool, error) {
	proof, out := newProof(r.config, wants), make([]bool, len(wants))
	if proof.any {
		conn, err := r.db.Acquire(ctx)
		if err != nil {
			return nil, readFault("connect", err)
		}
		defer conn.Release()
		if err := proof.beforeTransaction(ctx, conn.Conn()); err != nil {
			return nil, readFault("prove", err)
		}
		if err := proof.inTransaction(ctx, conn.Conn()); err != nil {
			return nil, readFault("prove", err)
		}
	}
	for i := range wants {
		out[i] = proof.visible(i)
	}
	return out, nil
}
