async def test_unknown_page(client):
    response = await client.get("/nowhere")
    assert response.status_code == 404
