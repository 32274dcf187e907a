const result = document.getElementById('result');
document.getElementById('firmware').onchange = async event => {
  result.textContent = 'sending';
  const response = await fetch('/firmware', { method: 'PUT', body: event.target.files[0] });
  result.textContent = await response.text();
};
