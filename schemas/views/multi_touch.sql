-- Calls shared out over the visitor's touchpoints by six models, side by side.
--
-- One row per call and touchpoint; each model's weights add up to 1 for each call that has
-- touchpoints (calls of no session, of static numbers and of robots have none and no row).
--
-- Columns:
--   account, conversion_id, call_id, day (UTC day of the call's start)
--   position, touches               1 is the oldest touchpoint, `touches` the last, the call's own session
--   session_id, session_start, source, medium, campaign, channel   of the touchpoint
--   first            all to the first touchpoint
--   last             all to the last
--   last_non_direct  all to the last whose channel is known and not Direct; without one, to the last
--   last_paid        all to the last whose channel is Paid …, Display or Cross-network; without one,
--                    to the last
--   linear           the same to each
--   position_based   0.4 to the first, 0.4 to the last, 0.2 shared by those between (two: 0.5 each;
--                    one: 1)
WITH touches AS (
  SELECT
    account,
    conversion_id,
    call_id,
    call_date AS day,
    position,
    touch.session_id,
    touch.session_start,
    touch.source,
    touch.medium,
    touch.campaign,
    touch.channel,
    touch.channel <> 'Direct' AS is_non_direct,
    touch.channel LIKE 'Paid %' OR touch.channel IN ('Display', 'Cross-network') AS is_paid
  FROM conversions_latest
  CROSS JOIN UNNEST(touchpoints) WITH ORDINALITY AS unnested(touch, position)
),
chosen AS (
  SELECT
    *,
    COUNT(*) OVER call AS touches,
    COALESCE(
      MAX(CASE WHEN is_non_direct THEN position END) OVER call,
      COUNT(*) OVER call
    ) AS non_direct_position,
    COALESCE(MAX(CASE WHEN is_paid THEN position END) OVER call, COUNT(*) OVER call) AS paid_position
  FROM touches
  WINDOW call AS (PARTITION BY account, conversion_id)
)
SELECT
  account,
  conversion_id,
  call_id,
  day,
  position,
  touches,
  session_id,
  session_start,
  source,
  medium,
  campaign,
  channel,
  CASE WHEN position = 1 THEN 1e0 ELSE 0e0 END AS first,
  CASE WHEN position = touches THEN 1e0 ELSE 0e0 END AS last,
  CASE WHEN position = non_direct_position THEN 1e0 ELSE 0e0 END AS last_non_direct,
  CASE WHEN position = paid_position THEN 1e0 ELSE 0e0 END AS last_paid,
  1e0 / touches AS linear,
  CASE
    WHEN touches = 1 THEN 1e0
    WHEN touches = 2 THEN 5e-1
    WHEN position IN (1, touches) THEN 4e-1
    ELSE 2e-1 / (touches - 2)
  END AS position_based
FROM chosen
