#include "config.h"

#include "base/units.h"
#include "net/pace.h"

int64_t pace_take(struct pace *p, int64_t now, double cost)
{
	double rate = (double)PACE_RATE / (p->nth > 0 ? p->nth : 1);

	if (p->at == 0)
		p->tokens = PACE_BURST;
	else
		p->tokens += (double)(now - p->at) / (double)NS_PER_S * rate;
	if (p->tokens > PACE_BURST)
		p->tokens = PACE_BURST;
	p->at = now;
	p->tokens -= cost;
	return p->tokens >= 0 ? 0
			      : (int64_t)(-p->tokens / rate * (double)NS_PER_S);
}
