--
-- Documents
--
-- doc:<name>  a hash of version and body
-- docs        the names

function functions.read_document()
  local found = call('HMGET', K .. 'doc:' .. take(), 'v', 'b')
  if found[1] then return { found[1], found[2] } end
  return {}
end

function functions.write_document()
  local name, expected, body = take(), take(), take()
  local current = call('HGET', K .. 'doc:' .. name, 'v') or '0'
  if current ~= expected then return { 'conflict', current } end
  local version = int(num(current) + 1)
  call('HSET', K .. 'doc:' .. name, 'v', version, 'b', body)
  if current == '0' then call('ZADD', K .. 'docs', 0, name) end
  return { 'written', version }
end

function functions.delete_document()
  local name, expected = take(), take()
  local current = call('HGET', K .. 'doc:' .. name, 'v')
  if not current then return { 'deleted' } end
  if current ~= expected then return { 'conflict', current } end
  call('DEL', K .. 'doc:' .. name)
  call('ZREM', K .. 'docs', name)
  return { 'deleted' }
end

function functions.list_documents()
  local start, prefix, limit = take(), take(), take()
  local to = prefix == '' and '+' or '(' .. prefix .. '\255'
  local from = start == '' and '-' or '[' .. start
  local answers = {}
  for i, name in ipairs(call('ZRANGEBYLEX', K .. 'docs', from, to, 'LIMIT', 0, limit)) do
    answers[i] = { name, call('HGET', K .. 'doc:' .. name, 'v') }
  end
  return answers
end
