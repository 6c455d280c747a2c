/** First questions. The demo model knows little; these are things that it was taught. */
const forDemo = ['Tell me a story about a fox', 'What is 7 + 5?', 'How do you work?']
const forAny = [
  'Tell me a story about a fox',
  'Explain rainbows to a six-year-old',
  'What can we cook with three eggs?',
]

/** @param modelUrl where the room's model is; undefined before there is one */
export const suggestionsFor = (modelUrl: string | undefined): string[] =>
  modelUrl !== undefined && /\/demo-[^/]*\.gguf$/.test(modelUrl) ? forDemo : forAny
